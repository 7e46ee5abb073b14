package certificate_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	testresult "github.com/in-toto/attestation/go/predicates/test_result/v0"
	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/secure-systems-lab/go-securesystemslib/signerverifier"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hookanvil/hookanvil/reports"
	"github.com/hookanvil/hookanvil/reports/certificate"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keyTypes are those that sign.
var keyTypes = map[string]func() (crypto.Signer, error){
	"ed25519": func() (crypto.Signer, error) { _, k, err := ed25519.GenerateKey(rand.Reader); return k, err },
	"p256":    func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
}

// newKey makes a key of a type, and its two PEM texts.
func newKey(t testing.TB, kind string) (private, public []byte) {
	t.Helper()
	signer, err := keyTypes[kind]()
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), publicPEM(t, signer)
}

func publicPEM(t testing.TB, signer crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// results is a small results folder with a programme.
func results(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bundle")
	began := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	run := reports.Run{
		Schema: reports.Schema, Tool: "hookanvil v0", Profile: "github", Seed: 7, Started: began, Ended: began.Add(time.Second), State: reports.Complete,
		Subject: reports.Subject{Role: "receiver", Target: "http://127.0.0.1/hook"},
		Results: []reports.Result{
			{ID: "receiver/a/one", Level: "must", Verdict: reports.Pass, Evidence: []reports.Exchange{{Label: "delivery", Outcome: "answered", Status: 200}}},
			{ID: "receiver/a/two", Level: "should", Verdict: reports.Warn, Reason: "it was not so"},
			{ID: "receiver/a/three", Level: "should", Verdict: reports.Skip, Lacks: "id"},
		},
	}
	folder, err := reports.BeginFolder(dir, reports.Manifest{
		Tool: run.Tool, Role: "receiver", Profile: run.Profile, Seed: run.Seed, Selected: []string{"receiver/a"}, Settings: []reports.Setting{},
		Inputs: []reports.Input{
			reports.NewInput(reports.SuiteFile("receiver/a"), "a.yaml", []byte("suite: receiver/a\n")),
			reports.NewInput(reports.ProfileFile, "github", []byte("profile: github\n")),
			reports.NewInput(certificate.ProgrammeFile, "p.yaml", programme),
		},
	})
	must(t, err)
	var planned []reports.Planned
	for _, r := range run.Results {
		planned = append(planned, reports.Planned{ID: r.ID, Level: r.Level})
	}
	j, err := folder.Journal(run, planned)
	must(t, err)
	for _, r := range run.Results {
		must(t, j.Record(r))
	}
	must(t, j.Close(run.State, run.Ended, nil))
	must(t, folder.End(run))
	return dir
}

var programme = []byte("programme: p\n")

func claims() certificate.Claims {
	return certificate.Claims{
		Subject: certificate.Identity{Name: "Inbox", Version: "2.1", Vendor: "Acme"}, Role: "receiver", Profile: "github", Tool: "hookanvil v0",
		Programme: certificate.Programme{Name: "p", Version: 1, SHA256: reports.Digest(programme)}, Level: "basic",
		Issued: time.Date(2026, 11, 28, 12, 0, 1, 0, time.UTC), Expires: time.Date(2027, 11, 28, 12, 0, 1, 0, time.UTC),
	}
}

// sealed is a bundle, and the public key that it verifies with.
func sealed(t testing.TB, kind string) (dir string, key *certificate.PublicKey, public []byte) {
	t.Helper()
	private, public := newKey(t, kind)
	signing, err := certificate.ReadKey(private)
	must(t, err)
	key, err = certificate.ReadPublicKey(public)
	must(t, err)
	dir = results(t)
	must(t, certificate.Seal(t.Context(), dir, claims(), signing))
	return dir, key, public
}

func TestSealAndOpen(t *testing.T) {
	for kind := range keyTypes {
		dir, key, _ := sealed(t, kind)
		b, refusals := certificate.Open(t.Context(), dir, key)
		if b == nil {
			t.Fatalf("%s: %s", kind, certificate.Words(refusals))
		}
		if b.Claims.Level != "basic" || b.Claims.Subject.Vendor != "Acme" || len(b.Run.Results) != 3 {
			t.Errorf("%s: %+v", kind, b.Claims)
		}
		if err := certificate.Seal(t.Context(), dir, claims(), nil); err == nil || !strings.Contains(err.Error(), "never overwritten") {
			t.Errorf("%s: sealed twice: %v", kind, err)
		}
	}
}

// What we sign is accepted by others' code: by the verifier of the DSSE library with the
// keys as that library reads them, by in-toto's validator and its type of the predicate,
// by the standard library over an encoding made anew from DSSE's specification, and by
// openssl, where it is there.
func TestOthersAccept(t *testing.T) {
	for kind := range keyTypes {
		t.Run(kind, func(t *testing.T) {
			dir, _, public := sealed(t, kind)
			src, err := os.ReadFile(filepath.Join(dir, certificate.EnvelopeFile))
			must(t, err)
			var e dsse.Envelope
			must(t, json.Unmarshal(src, &e))
			payload := acceptedByDSSE(t, &e, public)
			acceptedByInToto(t, payload)
			signature, err := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
			must(t, err)
			preAuthentic := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(e.PayloadType), e.PayloadType, len(payload), payload)
			acceptedByStandardLibrary(t, public, preAuthentic, signature)
			acceptedByOpenSSL(t, kind, public, preAuthentic, signature)
		})
	}
}

func acceptedByDSSE(t *testing.T, e *dsse.Envelope, public []byte) (payload []byte) {
	t.Helper()
	theirs, err := signerverifier.LoadKey(public)
	must(t, err)
	var verifier dsse.Verifier
	if theirs.KeyType == signerverifier.ED25519KeyType {
		theirs.KeyID = e.Signatures[0].KeyID // theirs is made in another way, and is only a hint
		verifier, err = signerverifier.NewED25519SignerVerifierFromSSLibKey(theirs)
	} else {
		theirs.KeyID = e.Signatures[0].KeyID
		verifier, err = signerverifier.NewECDSASignerVerifierFromSSLibKey(theirs)
	}
	must(t, err)
	all, err := dsse.NewEnvelopeVerifier(verifier)
	must(t, err)
	_, payload, err = all.VerifyAndDecode(context.Background(), e)
	must(t, err)
	return payload
}

func acceptedByInToto(t *testing.T, payload []byte) {
	t.Helper()
	var s intoto.Statement
	must(t, protojson.Unmarshal(payload, &s))
	must(t, s.Validate())
	if s.GetPredicateType() != "https://in-toto.io/attestation/test-result/v0.1" {
		t.Errorf("the predicate is %s", s.GetPredicateType())
	}
	predicate, err := protojson.Marshal(s.GetPredicate())
	must(t, err)
	var result testresult.TestResult
	must(t, protojson.Unmarshal(predicate, &result)) // refuses fields that it does not know
	if result.GetResult() != "WARNED" || strings.Join(result.GetPassedTests(), " ") != "receiver/a/one" || strings.Join(result.GetWarnedTests(), " ") != "receiver/a/two" {
		t.Errorf("the predicate says %v", &result)
	}
	if len(result.GetConfiguration()) != 3 {
		t.Errorf("the configuration is %v; want the programme, the profile and the suite", result.GetConfiguration())
	}
	for _, c := range result.GetConfiguration() {
		must(t, c.Validate())
	}
}

func acceptedByStandardLibrary(t *testing.T, public, signed, signature []byte) {
	t.Helper()
	block, _ := pem.Decode(public)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	must(t, err)
	ok := false
	switch k := key.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, signed, signature)
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(signed)
		ok = ecdsa.VerifyASN1(k, digest[:], signature)
	}
	if !ok {
		t.Error("the signature is not over what the specification says")
	}
}

func acceptedByOpenSSL(t *testing.T, kind string, public, signed, signature []byte) {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not there")
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"pub.pem": public, "signed": signed, "signature": signature} {
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	args := []string{"pkeyutl", "-verify", "-pubin", "-inkey", "pub.pem", "-rawin", "-in", "signed", "-sigfile", "signature"}
	if kind == "p256" {
		args = []string{"dgst", "-sha256", "-verify", "pub.pem", "-signature", "signature", "signed"}
	}
	cmd := exec.CommandContext(t.Context(), openssl, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("openssl: %v: %s", err, out)
	}
}

func TestIdentity(t *testing.T) {
	for name, i := range map[string]certificate.Identity{
		"no name":    {Version: "1", Vendor: "Acme"},
		"no version": {Name: "Inbox", Vendor: "Acme"},
		"no vendor":  {Name: "Inbox", Version: "1"},
		"a line end": {Name: "Inbox\nInbox", Version: "1", Vendor: "Acme"},
		"an escape":  {Name: "Inbox\x1b[2J", Version: "1", Vendor: "Acme"},
		"bidi":       {Name: "Inbox", Version: "1\u202e", Vendor: "Acme"},
		"not UTF-8":  {Name: "Inbox", Version: "1", Vendor: "Acme\xff"},
		"long":       {Name: strings.Repeat("x", 201), Version: "1", Vendor: "Acme"},
	} {
		if i.Check() == nil {
			t.Errorf("an identity with %s is taken", name)
		}
	}
	must(t, certificate.Identity{Name: "Posteingang für alle", Version: "2.1", Vendor: "Acme & Söhne"}.Check())
}

func TestReadKeyRefuses(t *testing.T) {
	private, public := newKey(t, "p256")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	for _, tt := range []struct {
		name    string
		private []byte
		want    string
	}{
		{"nothing", nil, "not PEM"},
		{"a public key", public, "public key"},
		{"an encrypted one", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}}), "encrypted"},
		{"two", append(append([]byte{}, private...), private...), "more than one"},
		{"rubbish", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("rubbish")}), "no private key"},
		{"a certificate", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}}), "another kind"},
		{"RSA", pkcs8(t, rsaKey), "neither"},
		{"another curve", pkcs8(t, p384), "P-256"},
		{"a large text", append(make([]byte, 70<<10), private...), "too large"},
	} {
		if _, err := certificate.ReadKey(tt.private); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.name, err, tt.want)
		}
	}
	for _, tt := range []struct {
		name   string
		public []byte
		want   string
	}{
		{"a private key", private, "pubout"}, {"nothing", nil, "not PEM"},
		{"RSA", publicPEM(t, rsaKey), "neither"}, {"another curve", publicPEM(t, p384), "P-256"},
		{"rubbish", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("rubbish")}), "no public key"},
	} {
		if _, err := certificate.ReadPublicKey(tt.public); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %q", tt.name, err, tt.want)
		}
	}
	sec1, err := x509.MarshalECPrivateKey(func() *ecdsa.PrivateKey { k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader); return k }())
	must(t, err)
	if _, err := certificate.ReadKey(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})); err != nil {
		t.Errorf("a key in the form of SEC 1: %v", err)
	}
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func FuzzReadPublicKey(f *testing.F) {
	_, public := newKey(f, "ed25519")
	f.Add(public)
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		_, _ = certificate.ReadPublicKey(text)
		_, _ = certificate.ReadKey(text)
	})
}

// No envelope but the one that was written opens a bundle.
func FuzzEnvelope(f *testing.F) {
	dir, key, _ := sealed(f, "ed25519")
	path := filepath.Join(dir, certificate.EnvelopeFile)
	original, err := os.ReadFile(path)
	must(f, err)
	f.Add(original)
	f.Add([]byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"keyid":"","sig":"AA=="}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, envelope []byte) {
		must(t, os.WriteFile(path, envelope, 0o600))
		b, refusals := certificate.Open(context.Background(), dir, key)
		if same := string(envelope) == string(original); same != (b != nil) || b == nil && len(refusals) == 0 {
			t.Errorf("opened: %t; refusals: %v", b != nil, refusals)
		}
	})
}
