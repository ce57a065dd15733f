package signer_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/signer"
)

// newKey makes a key of its own and returns its id.
func newKey(t *testing.T, e *awstest.Env, spec types.KeySpec) string {
	t.Helper()
	out, err := kms.NewFromConfig(e.Config).CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: spec, KeyUsage: types.KeyUsageTypeSignVerify})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.KeyMetadata.KeyId)
}

// TestSign: what KMS signs verifies without KMS.
func TestSign(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	id := newKey(t, e, types.KeySpecEccNistEdwards25519)
	alias := "alias/signer-" + id
	client := kms.NewFromConfig(e.Config)
	if _, err := client.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: &alias, TargetKeyId: &id}); err != nil {
		t.Fatal(err)
	}
	s := signer.New(e.Config, alias)
	keyID, key, err := s.PublicKey(t.Context())
	if err != nil || keyID != id || len(key) != ed25519.PublicKeySize {
		t.Fatalf("key %q, want %q, %d bytes, %v", keyID, id, len(key), err)
	}
	for name, message := range map[string][]byte{
		"short": {0}, "text": []byte("avow certificate\nédition 1"), "the longest": bytes.Repeat([]byte{7}, signer.MaxMessage),
	} {
		signature, err := s.Sign(t.Context(), message)
		if err != nil || !ed25519.Verify(key, message, signature) {
			t.Errorf("%s: %x, %v", name, signature, err)
		}
		again, err := s.Sign(t.Context(), message)
		if err != nil || !bytes.Equal(again, signature) {
			t.Errorf("%s, again: %x, %v", name, again, err)
		}
		message[0]++
		if ed25519.Verify(key, message, signature) {
			t.Errorf("%s: verifies for another message", name)
		}
	}

	// The alias is moved: certificate and key id of this instance stay together.
	other := newKey(t, e, types.KeySpecEccNistEdwards25519)
	if _, err := client.UpdateAlias(t.Context(), &kms.UpdateAliasInput{AliasName: &alias, TargetKeyId: &other}); err != nil {
		t.Fatal(err)
	}
	signature, err := s.Sign(t.Context(), []byte("x"))
	if err != nil || !ed25519.Verify(key, []byte("x"), signature) {
		t.Errorf("after the alias was moved: %v", err)
	}
	if now, _, err := signer.New(e.Config, alias).PublicKey(t.Context()); err != nil || now != other {
		t.Errorf("a new instance: %q, %v", now, err)
	}
}

func TestSign_refuses(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	net := &faulty.Transport{}
	with := e.With(net.Wrap)
	good := signer.New(with.Config, newKey(t, e, types.KeySpecEccNistEdwards25519))
	for n, want := range map[int]errs.Kind{0: errs.Internal, signer.MaxMessage + 1: errs.TooLarge} {
		if _, err := good.Sign(t.Context(), make([]byte, n)); !errs.Is(err, want) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if n := len(net.Calls()); n != 0 {
		t.Errorf("%d calls", n)
	}
	for name, id := range map[string]string{"no such key": "alias/none", "another kind of key": newKey(t, e, types.KeySpecEccNistP256)} {
		s := signer.New(e.Config, id)
		if _, err := s.Sign(t.Context(), []byte("x")); !errs.Is(err, errs.Internal) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := s.PublicKey(t.Context()); !errs.Is(err, errs.Internal) || strings.Contains(err.Error(), id) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSign_faults: a broken call is made good; a signature that is not one never
// leaves.
func TestSign_faults(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	id := newKey(t, e, types.KeySpecEccNistEdwards25519)
	for _, fault := range slices.Concat(faulty.Before, faulty.After) {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			net := &faulty.Transport{}
			with := e.With(net.Wrap)
			with.Config.Retryer = faulty.Impatient
			s := signer.New(with.Config, id)
			for _, operation := range []string{"trentservice.GetPublicKey", "trentservice.Sign"} {
				net.Break(faulty.Every(operation, fault))
				if _, err := s.Sign(t.Context(), []byte("x")); !errs.Is(err, errs.Unavailable) {
					t.Errorf("%s fails for good: %v", operation, err)
				}
				net.Break(faulty.Nth(operation, 1, fault))
				if _, err := s.Sign(t.Context(), []byte("x")); err != nil {
					t.Errorf("%s fails once: %v", operation, err)
				}
			}
		})
	}
	t.Run("another signature", func(t *testing.T) {
		t.Parallel()
		s := signer.New(e.With(func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(r *http.Request) (*http.Response, error) {
				out, err := next.RoundTrip(r)
				if err != nil || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".Sign") {
					return out, err
				}
				_ = out.Body.Close()
				body := `{"Signature":"` + strings.Repeat("A", 86) + `=="}`
				out.Body, out.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
				return out, nil
			})
		}).Config, id)
		if signature, err := s.Sign(t.Context(), []byte("x")); !errs.Is(err, errs.Internal) || signature != nil {
			t.Errorf("%x, %v", signature, err)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestSign_once: the public key is asked for once, however many sign at once.
func TestSign_once(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	net := &faulty.Transport{}
	s := signer.New(e.With(net.Wrap).Config, newKey(t, e, types.KeySpecEccNistEdwards25519))
	var wait sync.WaitGroup
	for i := range 10 {
		wait.Go(func() {
			if _, err := s.Sign(t.Context(), fmt.Append(nil, i)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if counts := net.Counts(); counts["trentservice.GetPublicKey"] != 1 || counts["trentservice.Sign"] != 10 {
		t.Errorf("%v", counts)
	}
}
