package signer

import (
	"crypto/ed25519"
	"crypto/x509"
	"testing"

	"github.com/avow-consent/avow/internal/errs"
)

// FuzzParse: what is read is a whole key, which stands for itself.
func FuzzParse(f *testing.F) {
	seed := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public()
	der, err := x509.MarshalPKIXPublicKey(seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(der[:len(der)-1])
	f.Add(append(der, 0))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, der []byte) {
		key, err := parse(der)
		if err != nil {
			if !errs.Is(err, errs.Internal) || key != nil {
				t.Errorf("%x, %v", key, err)
			}
			return
		}
		if len(key) != ed25519.PublicKeySize {
			t.Errorf("a key of %d bytes", len(key))
		}
	})
}
