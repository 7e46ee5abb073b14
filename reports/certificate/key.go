package certificate

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// Key signs certificates. It is Ed25519, or ECDSA on P-256 with SHA-256.
type Key struct {
	PublicKey
	private crypto.Signer
}

// PublicKey verifies certificates.
type PublicKey struct {
	public crypto.PublicKey
	id     string
}

var (
	_ dsse.Signer   = (*Key)(nil)
	_ dsse.Verifier = (*PublicKey)(nil)
)

// maxKey is the size of a PEM text that is read.
const maxKey = 64 << 10

const makeOne = "make one with: openssl genpkey -algorithm ed25519 -out key.pem"

// ReadKey reads a private key: PEM, PKCS#8 or, for ECDSA, SEC 1. Errors show nothing of it.
func ReadKey(text []byte) (*Key, error) {
	block, err := onlyBlock(text)
	if err != nil {
		return nil, err
	}
	var private any
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("it is encrypted; decrypt it for the run: openssl pkey -in key.pem, into an environment variable that env:NAME names")
	case "PUBLIC KEY":
		return nil, errors.New("it is a public key, and signing takes the private one")
	default:
		return nil, fmt.Errorf("it is a PEM block of another kind (%.40q); %s", block.Type, makeOne)
	}
	if err != nil {
		return nil, fmt.Errorf("it is no private key in the form that its PEM block says; %s", makeOne)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("it is a key that does not sign; %s", makeOne)
	}
	public, err := newPublicKey(signer.Public())
	if err != nil {
		return nil, err
	}
	return &Key{*public, signer}, nil
}

// ReadPublicKey reads a public key: PEM, as openssl pkey -pubout writes it.
func ReadPublicKey(text []byte) (*PublicKey, error) {
	block, err := onlyBlock(text)
	if err != nil {
		return nil, err
	}
	if block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("it is a PEM block of another kind (%.40q); the public key of a private one is written by: openssl pkey -in key.pem -pubout", block.Type)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it is no public key in the form that its PEM block says")
	}
	return newPublicKey(public)
}

// onlyBlock is the only PEM block of a text. A second one would leave open which key is
// meant.
func onlyBlock(text []byte) (*pem.Block, error) {
	if len(text) > maxKey {
		return nil, errors.New("it is too large for a key")
	}
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("it is not PEM; %s", makeOne)
	}
	if another, _ := pem.Decode(rest); another != nil {
		return nil, errors.New("it holds more than one PEM block; leave the key alone in it")
	}
	return block, nil
}

func newPublicKey(public crypto.PublicKey) (*PublicKey, error) {
	switch k := public.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return nil, fmt.Errorf("it is an ECDSA key on another curve than P-256; %s", makeOne)
		}
	default:
		return nil, fmt.Errorf("it is neither an Ed25519 nor an ECDSA key; %s", makeOne)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("name the key: %w", err)
	}
	sum := sha256.Sum256(der)
	return &PublicKey{public, hex.EncodeToString(sum[:])}, nil
}

// KeyID is the SHA-256 of the public key's SubjectPublicKeyInfo, in hexadecimal.
func (k *PublicKey) KeyID() (string, error) { return k.id, nil }

// Public is the public key.
func (k *PublicKey) Public() crypto.PublicKey { return k.public }

// Sign signs what DSSE has made of a payload.
func (k *Key) Sign(_ context.Context, data []byte) ([]byte, error) {
	if _, ok := k.public.(ed25519.PublicKey); ok {
		return k.private.Sign(nil, data, crypto.Hash(0))
	}
	digest := sha256.Sum256(data)
	return k.private.Sign(rand.Reader, digest[:], crypto.SHA256)
}

// Verify tells whether the signature is this key's.
func (k *PublicKey) Verify(_ context.Context, data, signature []byte) error {
	ok := false
	switch public := k.public.(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(public, data, signature)
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(data)
		ok = ecdsa.VerifyASN1(public, digest[:], signature)
	}
	if !ok {
		return errors.New("the signature is not this key's")
	}
	return nil
}
