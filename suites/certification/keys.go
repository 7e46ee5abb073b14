package certification

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hookanvil/hookanvil/reports/certificate"
	"github.com/hookanvil/hookanvil/scenarios/strictyaml"
)

// ReadKey reads the private key that signs: a PEM file, or env:NAME.
func ReadKey(place string) (*certificate.Key, error) {
	if place == "" {
		return nil, fmt.Errorf("sign the certificate: there is no key; name one with --key key.pem or --key env:NAME; " +
			"openssl genpkey -algorithm ed25519 -out key.pem makes one")
	}
	text, err := readPlace(place)
	if err != nil {
		return nil, fmt.Errorf("read the key %s: %w", strictyaml.Quote(place), err)
	}
	key, err := certificate.ReadKey(text)
	if err != nil {
		return nil, fmt.Errorf("read the key %s: %w", strictyaml.Quote(place), err)
	}
	return key, nil
}

// ReadPublicKeys reads public keys: PEM files, or env:NAME.
func ReadPublicKeys(places []string) ([]*certificate.PublicKey, error) {
	if len(places) == 0 {
		return nil, fmt.Errorf("verify the certificate: no key is given, and a certificate by an unknown key is worth nothing; name the key of whoever certifies with --key pub.pem")
	}
	var keys []*certificate.PublicKey
	for _, place := range places {
		text, err := readPlace(place)
		if err != nil {
			return nil, fmt.Errorf("read the key %s: %w", strictyaml.Quote(place), err)
		}
		key, err := certificate.ReadPublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("read the key %s: %w", strictyaml.Quote(place), err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func readPlace(place string) ([]byte, error) {
	if name, ok := strings.CutPrefix(place, "env:"); ok {
		text := os.Getenv(name)
		if text == "" {
			return nil, fmt.Errorf("the environment variable is not set or empty; it holds the PEM text itself")
		}
		return []byte(text), nil
	}
	f, err := os.Open(place)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, strictyaml.MaxBytes))
}
