package certificate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	testresult "github.com/in-toto/attestation/go/predicates/test_result/v0"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/hookanvil/hookanvil/reports"
)

const (
	payloadType   = "application/vnd.in-toto+json"
	predicateType = "https://in-toto.io/attestation/test-result/v0.1"
	algorithm     = string(intoto.AlgorithmSHA256)
)

// The results that the predicate knows.
const (
	resultPassed = "PASSED"
	resultWarned = "WARNED"
	resultFailed = "FAILED"
)

// newStatement is the in-toto Statement over a bundle, in JSON. Its first subject is the
// declared identity, annotated with what is certified; the others are the files.
func newStatement(claims Claims, files map[string][]byte, run reports.Run) ([]byte, error) {
	s, err := statementOf(claims, files, run)
	if err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("make the statement: %w", err)
	}
	b, err := protojson.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode the statement: %w", err)
	}
	var plain bytes.Buffer // protojson varies its blanks on purpose
	err = json.Compact(&plain, b)
	return plain.Bytes(), err
}

func statementOf(claims Claims, files map[string][]byte, run reports.Run) (*intoto.Statement, error) {
	certified, err := structpb.NewStruct(map[string]any{
		"programme": claims.Programme.Name, "programmeVersion": claims.Programme.Version, "level": claims.Level,
		"issued": claims.Issued.UTC().Format(time.RFC3339), "expires": claims.Expires.UTC().Format(time.RFC3339),
	})
	if err != nil {
		return nil, fmt.Errorf("make the statement: %w", err)
	}
	s := &intoto.Statement{Type: intoto.StatementTypeUri, PredicateType: predicateType}
	s.Subject = append(s.Subject, &intoto.ResourceDescriptor{
		Name: claims.Subject.String(), Digest: map[string]string{algorithm: claims.Subject.digest()}, Annotations: certified,
	})
	result := &testresult.TestResult{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == EnvelopeFile {
			continue
		}
		file := &intoto.ResourceDescriptor{Name: name, Digest: map[string]string{algorithm: reports.Digest(files[name])}}
		s.Subject = append(s.Subject, file)
		if _, suite := reports.SuiteOf(name); suite || name == ProgrammeFile || name == reports.ProfileFile {
			result.Configuration = append(result.Configuration, file)
		}
	}
	result.Result, result.PassedTests, result.WarnedTests, result.FailedTests = outcome(run)
	if s.Predicate, err = structOf(result); err != nil {
		return nil, err
	}
	return s, nil
}

// outcome is a run in the words of the predicate. What was skipped or could not be judged
// stands in none of its lists.
func outcome(run reports.Run) (result string, passed, warned, failed []string) {
	for _, r := range run.Results {
		switch r.Verdict {
		case reports.Pass:
			passed = append(passed, r.ID)
		case reports.Warn:
			warned = append(warned, r.ID)
		case reports.Fail:
			failed = append(failed, r.ID)
		}
	}
	switch {
	case len(failed) > 0:
		return resultFailed, passed, warned, failed
	case len(warned) > 0:
		return resultWarned, passed, warned, failed
	}
	return resultPassed, passed, warned, failed
}

// structOf is a message as the predicate of a Statement takes it.
func structOf(m proto.Message) (*structpb.Struct, error) {
	b, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode the predicate: %w", err)
	}
	s := &structpb.Struct{}
	if err := protojson.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("encode the predicate: %w", err)
	}
	return s, nil
}

// readStatement reads a payload strictly: unknown fields and fields that stand there twice
// are errors, and so is what in-toto does not take for a Statement.
func readStatement(payload []byte) (*intoto.Statement, error) {
	s := &intoto.Statement{}
	if err := protojson.Unmarshal(payload, s); err != nil {
		return nil, fmt.Errorf("it is no in-toto Statement: %w", err)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("it is no valid in-toto Statement: %w", err)
	}
	if s.GetType() != intoto.StatementTypeUri {
		return nil, fmt.Errorf("it is a Statement of the type %q, and %q is due", s.GetType(), intoto.StatementTypeUri)
	}
	if s.GetPredicateType() != predicateType {
		return nil, fmt.Errorf("its predicate is %q, and %q is due", s.GetPredicateType(), predicateType)
	}
	return s, nil
}

// digestsOf are the digests that a Statement has of files, without the first subject, the
// identity.
func digestsOf(s *intoto.Statement) (map[string]string, error) {
	digests := map[string]string{}
	for _, file := range s.GetSubject()[1:] {
		name, digest := file.GetName(), file.GetDigest()[algorithm]
		if _, twice := digests[name]; twice || name == "" || digest == "" {
			return nil, fmt.Errorf("its subject %q has no %s digest, or stands there twice", name, algorithm)
		}
		digests[name] = digest
	}
	if len(digests) == 0 {
		return nil, errors.New("it is over no file")
	}
	return digests, nil
}
