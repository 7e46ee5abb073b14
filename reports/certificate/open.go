package certificate

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"google.golang.org/protobuf/proto"

	"github.com/hookanvil/hookanvil/reports"
)

// Bundle is a bundle whose signature and digests were verified, read once, so that nobody
// can change it in between.
type Bundle struct {
	Claims   Claims
	Manifest reports.Manifest
	Run      reports.Run       // as the journal tells it
	Report   reports.Run       // as it was reported, with known failures marked
	Files    map[string][]byte // by their paths in the bundle, with slashes
	KeyID    string            // of the key that signed
}

// Refusal is why a certificate does not hold.
type Refusal struct {
	Check  string `json:"check"` // what was checked: see the constants
	Reason string `json:"reason"`
}

// The checks of a bundle, in the order in which they are made. Where one of the first two
// fails there is nothing to go on from.
const (
	CheckRead      = "bundle"    // it can be read
	CheckSignature = "signature" // the envelope is whole, and signed with a known key
	CheckFiles     = "files"     // every file is there, unchanged, and no other
	CheckContent   = "content"   // the files say the same of one run
)

func refused(check, format string, args ...any) Refusal {
	return Refusal{check, fmt.Sprintf(format, args...)}
}

// Open reads a bundle and verifies everything that needs no knowledge of suites: the
// signature, by one of the keys; the digests; and that the files tell of one run. The
// bundle is nil where there are refusals.
func Open(ctx context.Context, dir string, keys ...*PublicKey) (*Bundle, []Refusal) {
	files, err := readFiles(dir)
	if err != nil {
		return nil, []Refusal{refused(CheckRead, "%s", err)}
	}
	envelope, payload, err := readEnvelope(files[EnvelopeFile])
	if err != nil {
		return nil, []Refusal{refused(CheckSignature, "%s: %s", EnvelopeFile, err)}
	}
	if err := verify(ctx, envelope, keys); err != nil {
		return nil, []Refusal{refused(CheckSignature, "%s", err)}
	}
	statement, err := readStatement(payload)
	if err != nil {
		return nil, []Refusal{refused(CheckSignature, "the payload of %s: %s", EnvelopeFile, err)}
	}
	digests, err := digestsOf(statement)
	if err != nil {
		return nil, []Refusal{refused(CheckSignature, "the payload of %s: %s", EnvelopeFile, err)}
	}
	if all := compareFiles(digests, files); len(all) > 0 {
		return nil, all
	}
	b := &Bundle{Files: files, KeyID: envelope.Signatures[0].KeyID}
	if all := b.read(); len(all) > 0 {
		return nil, all
	}
	due, err := statementOf(b.Claims, files, b.Run)
	if err != nil || !proto.Equal(due, statement) {
		return nil, []Refusal{refused(CheckContent, "the signed statement is not what the files come to: it says something else of the subject, the level or the tests")}
	}
	return b, nil
}

// The bounds of a bundle.
const (
	maxFiles = 2000
	maxBytes = 512 << 20
)

// readFiles reads every file below dir, by its path with slashes. What is no regular file
// is an error, and so is a directory without one.
func readFiles(dir string) (map[string][]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	defer root.Close()
	files, total, empty := map[string][]byte{}, 0, map[string]bool{}
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			empty[name] = name != "."
			return nil
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is no regular file", name)
		case len(files) >= maxFiles:
			return fmt.Errorf("it has more than %d files", maxFiles)
		}
		for at := filepath.Dir(filepath.FromSlash(name)); at != "."; at = filepath.Dir(at) {
			delete(empty, filepath.ToSlash(at))
		}
		content, err := readFile(root, name, maxBytes-total)
		files[name] = content
		total += len(content)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	for name, is := range empty {
		if is {
			return nil, fmt.Errorf("read the bundle: the directory %s is empty; it was added, or its files were removed", name)
		}
	}
	return files, nil
}

func readFile(root *os.Root, name string, most int) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err == nil && len(content) > most {
		err = fmt.Errorf("it is larger than %d MiB", maxBytes>>20)
	}
	return content, err
}

// readEnvelope reads an envelope that is written as Seal writes it, to the byte, with one
// signature over an in-toto payload.
func readEnvelope(src []byte) (*dsse.Envelope, []byte, error) {
	if src == nil {
		return nil, nil, errors.New("it is missing: there is no certificate")
	}
	e := &dsse.Envelope{}
	if err := strictJSON(src, e); err != nil {
		return nil, nil, fmt.Errorf("it is no DSSE envelope: %w", err)
	}
	if len(e.Signatures) != 1 {
		return nil, nil, fmt.Errorf("it has %d signatures, and one is due", len(e.Signatures))
	}
	payload, err := base64.StdEncoding.Strict().DecodeString(e.Payload)
	if err != nil {
		return nil, nil, errors.New("its payload is no base64: it was changed")
	}
	if _, err := base64.StdEncoding.Strict().DecodeString(e.Signatures[0].Sig); err != nil {
		return nil, nil, errors.New("its signature is no base64: it was changed")
	}
	if e.PayloadType != payloadType {
		return nil, nil, fmt.Errorf("its payload is %.60q, and %q is due", e.PayloadType, payloadType)
	}
	if !bytes.Equal(src, encodeEnvelope(e)) {
		return nil, nil, errors.New("it is not written as this program writes it: it was changed")
	}
	return e, payload, nil
}

// verify demands a signature by one of the keys.
func verify(ctx context.Context, e *dsse.Envelope, keys []*PublicKey) error {
	if len(keys) == 0 {
		return errors.New("no key is given to verify the signature with")
	}
	of := e.Signatures[0].KeyID
	i := slices.IndexFunc(keys, func(k *PublicKey) bool { return k.id == of })
	if i < 0 {
		return fmt.Errorf("the certificate is signed with the key %.64q, and the key that is given is %q: it was signed by somebody else", of, keys[0].id)
	}
	verifier, err := dsse.NewEnvelopeVerifier(keys[i])
	if err != nil {
		return fmt.Errorf("verify the signature: %w", err)
	}
	if _, err := verifier.Verify(ctx, e); err != nil {
		return fmt.Errorf("the signature does not verify: the statement was changed after it was signed, or it was signed with another key than it says")
	}
	return nil
}

// compareFiles finds files that are not what was signed.
func compareFiles(digests map[string]string, files map[string][]byte) (all []Refusal) {
	for _, name := range slices.Sorted(maps.Keys(digests)) {
		content, there := files[name]
		switch {
		case !there:
			all = append(all, refused(CheckFiles, "%s is missing", name))
		case reports.Digest(content) != digests[name]:
			all = append(all, refused(CheckFiles, "%s was changed: its SHA-256 is %s, and %s was signed", name, reports.Digest(content), digests[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, signed := digests[name]; !signed && name != EnvelopeFile {
			all = append(all, refused(CheckFiles, "%s was added: it is not among what was signed", name))
		}
	}
	return all
}

// read reads what the files say, and finds where they contradict each other.
func (b *Bundle) read() []Refusal {
	var err error
	for _, name := range []string{ClaimsFile, ProgrammeFile, reports.ManifestFile, reports.JournalFile, reports.ReportFile, reports.ProfileFile, reports.SumsFile} {
		if b.Files[name] == nil {
			return []Refusal{refused(CheckFiles, "%s is missing", name)}
		}
	}
	if b.Claims, err = readClaims(b.Files[ClaimsFile]); err != nil {
		return []Refusal{refused(CheckContent, "%s: %s", ClaimsFile, err)}
	}
	if b.Manifest, err = reports.ReadManifest(b.Files[reports.ManifestFile]); err != nil {
		return []Refusal{refused(CheckContent, "%s: %s", reports.ManifestFile, err)}
	}
	if b.Run, err = reports.ReadJournal(bytes.NewReader(b.Files[reports.JournalFile])); err != nil {
		return []Refusal{refused(CheckContent, "%s: %s", reports.JournalFile, err)}
	}
	if b.Report, err = reports.ReadJSON(bytes.NewReader(b.Files[reports.ReportFile])); err != nil {
		return []Refusal{refused(CheckContent, "%s: %s", reports.ReportFile, err)}
	}
	return slices.Concat(b.checkSums(), b.checkInputs(), b.checkRun(), b.checkReport())
}

// checkSums demands that the results folder is as it was when its run had ended.
func (b *Bundle) checkSums() (all []Refusal) {
	lacks := reports.CheckSums(b.Files[reports.SumsFile], func(name string) (string, error) {
		content, there := b.Files[name]
		if !there {
			return "", fs.ErrNotExist
		}
		return reports.Digest(content), nil
	})
	for _, lack := range lacks {
		all = append(all, refused(CheckContent, "%s", lack))
	}
	return all
}

// checkInputs holds the inputs of the manifest against the files.
func (b *Bundle) checkInputs() (all []Refusal) {
	listed := map[string]bool{}
	for _, in := range b.Manifest.Inputs {
		content, there := b.Files[in.Path]
		if !there || reports.Digest(content) != in.SHA256 || listed[in.Path] {
			all = append(all, refused(CheckContent, "%s is not the file that the run was made of, by %s", in.Path, reports.ManifestFile))
		}
		listed[in.Path] = true
	}
	for _, name := range slices.Sorted(maps.Keys(b.Files)) {
		_, suite := reports.SuiteOf(name)
		if (suite || name == reports.ProfileFile || name == reports.KnownFile || name == reports.BaselineFile) && !listed[name] {
			all = append(all, refused(CheckContent, "%s is no file that the run was made of, by %s", name, reports.ManifestFile))
		}
	}
	return all
}

// checkRun holds the journal against the manifest and what is certified: they must be of
// one run.
func (b *Bundle) checkRun() (all []Refusal) {
	for _, pair := range []struct {
		what, journal, file, other string
	}{
		{"seed", fmt.Sprint(b.Run.Seed), reports.ManifestFile, fmt.Sprint(b.Manifest.Seed)},
		{"tool", b.Run.Tool, reports.ManifestFile, b.Manifest.Tool},
		{"role", b.Run.Subject.Role, reports.ManifestFile, b.Manifest.Role},
		{"profile", b.Run.Profile, reports.ManifestFile, b.Manifest.Profile},
		{"tool", b.Run.Tool, ClaimsFile, b.Claims.Tool},
		{"role", b.Run.Subject.Role, ClaimsFile, b.Claims.Role},
		{"profile", b.Run.Profile, ClaimsFile, b.Claims.Profile},
	} {
		if pair.journal != pair.other {
			all = append(all, refused(CheckContent, "the %s of %s is %q, and that of %s %q: they are of two runs", pair.what, reports.JournalFile, pair.journal, pair.file, pair.other))
		}
	}
	if d := reports.Digest(b.Files[ProgrammeFile]); d != b.Claims.Programme.SHA256 {
		all = append(all, refused(CheckContent, "%s has the SHA-256 %s, and %s says %.64q", ProgrammeFile, d, ClaimsFile, b.Claims.Programme.SHA256))
	}
	return all
}

// checkReport holds the report against the journal, of which it is made. Known failures
// stand in the report alone, and only where a list of them was given.
func (b *Bundle) checkReport() []Refusal {
	told, reported := plain(b.Run), plain(b.Report)
	known := b.Files[reports.KnownFile] != nil
	if known && len(reported.Notes) > len(told.Notes) {
		reported.Notes = reported.Notes[:len(told.Notes)]
	}
	if known {
		reported.Stale = nil
		for i := range reported.Results {
			reported.Results[i].Known = ""
		}
	}
	var all []Refusal
	for i, r := range told.Results {
		if i < len(reported.Results) && !same(r, reported.Results[i]) {
			all = append(all, refused(CheckContent, "%s: what %s says of the case is not what %s does: a result was swapped", r.ID, reports.ReportFile, reports.JournalFile))
		}
	}
	if len(told.Results) != len(reported.Results) {
		all = append(all, refused(CheckContent, "%s has %d results, and %s %d", reports.ReportFile, len(reported.Results), reports.JournalFile, len(told.Results)))
	}
	told.Results, reported.Results = nil, nil
	if !same(told, reported) {
		all = append(all, refused(CheckContent, "%s is not the report of %s: they are of two runs", reports.ReportFile, reports.JournalFile))
	}
	return all
}

// plain is a run without what is counted of it.
func plain(run reports.Run) reports.Run {
	run.Totals, run.Results, run.Notes = reports.Totals{}, slices.Clone(run.Results), slices.Clone(run.Notes)
	return run
}

// same tells whether two values are written alike.
func same(a, b any) bool {
	one, err1 := json.Marshal(a)
	two, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && reflect.TypeOf(a) == reflect.TypeOf(b) && bytes.Equal(one, two)
}

// Words are the reasons of refusals, one a line.
func Words(all []Refusal) string {
	var lines []string
	for _, r := range all {
		lines = append(lines, r.Check+": "+r.Reason)
	}
	return strings.Join(lines, "\n")
}
