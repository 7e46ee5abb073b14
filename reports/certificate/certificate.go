// Package certificate seals a results folder, so that others can verify who was judged,
// by what, and that nothing was changed since.
//
// A bundle is a results folder (see reports.Manifest) with three more files: the programme
// of certification, what is certified (Claims), and an in-toto Statement with the
// test-result predicate, in a DSSE envelope that is signed with a key of the user's. The
// Statement has the digest of every other file, and of the subject's declared identity.
//
// The package knows of digests, signatures and what files say of each other. Whether the
// results support a level is for suites/certification to say.
package certificate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
	"unicode"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/hookanvil/hookanvil/reports"
)

// The files of a bundle beside those of a results folder.
const (
	ClaimsFile    = "certificate.json"
	EnvelopeFile  = "certificate.dsse.json"
	ProgrammeFile = "programme.yaml"
)

const claimsSchema = "hookanvil.certificate/1"

// Claims are what is certified.
type Claims struct {
	Schema    string    `json:"schema"`
	Subject   Identity  `json:"subject"`
	Role      string    `json:"role"`
	Profile   string    `json:"profile"`
	Programme Programme `json:"programme"`
	Level     string    `json:"level"`
	Issued    time.Time `json:"issued"`
	Expires   time.Time `json:"expires"` // from then on the certificate is not valid
	Tool      string    `json:"tool"`    // that judged and signed
}

// Identity is what a subject declares of itself.
type Identity struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Vendor  string `json:"vendor"`
}

// Programme is the programme that the subject was judged by.
type Programme struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	SHA256  string `json:"sha256"` // of its file
}

func (i Identity) String() string { return fmt.Sprintf("%s %s (%s)", i.Name, i.Version, i.Vendor) }

// maxIdentity is the length of a part of an identity, in bytes.
const maxIdentity = 200

// Check finds what is missing in an identity, or cannot be shown.
func (i Identity) Check() error {
	for _, part := range []struct{ what, text string }{{"name", i.Name}, {"version", i.Version}, {"vendor", i.Vendor}} {
		switch {
		case part.text == "":
			return fmt.Errorf("the subject has no %s; a certificate says whose it is: --name, --version and --vendor", part.what)
		case len(part.text) > maxIdentity:
			return fmt.Errorf("the %s of the subject is longer than %d bytes", part.what, maxIdentity)
		}
		for _, r := range part.text {
			if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
				return fmt.Errorf("the %s of the subject holds a character that cannot be shown (%q)", part.what, r)
			}
		}
	}
	return nil
}

// digest is that of the identity in JSON, keys in the order of Identity, without blanks.
func (i Identity) digest() string {
	b, err := json.Marshal(i)
	if err != nil {
		panic(err) // three texts
	}
	return reports.Digest(b)
}

// Seal makes a bundle of a results folder: it writes what is certified and the envelope
// over everything that is in the folder then. A folder that is sealed already is an error.
func Seal(ctx context.Context, dir string, claims Claims, key *Key) error {
	if err := claims.Subject.Check(); err != nil {
		return fmt.Errorf("seal %s: %w", dir, err)
	}
	for _, name := range []string{ClaimsFile, EnvelopeFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("seal %s: it has a %s already, and certificates are never overwritten", dir, name)
		}
	}
	claims.Schema = claimsSchema
	err := writeFile(filepath.Join(dir, ClaimsFile), func(w io.Writer) error { return reports.WriteJSON(w, claims) })
	if err != nil {
		return err
	}
	files, err := readFiles(dir)
	if err != nil {
		return fmt.Errorf("seal %s: %w", dir, err)
	}
	run, err := reports.ReadJournal(bytes.NewReader(files[reports.JournalFile]))
	if err != nil {
		return fmt.Errorf("seal %s: %w", dir, err)
	}
	payload, err := newStatement(claims, files, run)
	if err != nil {
		return fmt.Errorf("seal %s: %w", dir, err)
	}
	signer, err := dsse.NewEnvelopeSigner(key)
	if err != nil {
		return fmt.Errorf("seal %s: %w", dir, err)
	}
	envelope, err := signer.SignPayload(ctx, payloadType, payload)
	if err != nil {
		return fmt.Errorf("sign the certificate: %w", err)
	}
	return writeFile(filepath.Join(dir, EnvelopeFile), func(w io.Writer) error {
		_, err := w.Write(encodeEnvelope(envelope))
		return err
	})
}

func writeFile(path string, write func(io.Writer) error) error {
	if err := reports.Replace(path, write); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// encodeEnvelope is the one form in which an envelope is written, so that no byte of the
// file can be another.
func encodeEnvelope(e *dsse.Envelope) []byte {
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		panic(err) // texts
	}
	return append(b, '\n')
}

func readClaims(src []byte) (c Claims, err error) {
	if err := strictJSON(src, &c); err != nil {
		return Claims{}, err
	}
	if c.Schema != claimsSchema {
		return Claims{}, fmt.Errorf("its schema is %q, and this version reads %q", c.Schema, claimsSchema)
	}
	return c, c.Subject.Check()
}

// strictJSON reads one JSON value with the fields that v has, and nothing behind it.
func strictJSON(src []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(src))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows it")
	}
	return nil
}
