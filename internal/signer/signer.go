// Package signer signs with a key that never leaves KMS, and says how anybody
// can verify it.
package signer

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
)

// MaxMessage is the longest message that KMS signs as it is (RAW), in bytes.
// What is longer is signed as a short statement that holds its digest: Ed25519
// takes no digest in place of a message.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html
const MaxMessage = 4096

// Signer signs with one key of KMS (key spec ECC_NIST_EDWARDS25519). It asks for
// the public key once and from then on signs with that very key: an alias that
// is moved to another key counts from the next instance on. It is safe for
// concurrent use.
type Signer struct {
	sign    cloud.Call[kms.SignInput, kms.SignOutput, kms.Options]
	publish cloud.Call[kms.GetPublicKeyInput, kms.GetPublicKeyOutput, kms.Options]
	id      string

	mu  sync.Mutex
	key *publicKey
}

type publicKey struct {
	arn string
	key ed25519.PublicKey
}

// New returns a signer with a key, given its id, ARN or alias.
func New(cfg aws.Config, keyID string) *Signer {
	client := kms.NewFromConfig(cfg)
	return &Signer{sign: client.Sign, publish: client.GetPublicKey, id: keyID}
}

// Sign returns the 64 bytes of an Ed25519 signature (RFC 8032, without prehash)
// of a message of 1 to MaxMessage bytes; longer ones are TooLarge. What KMS
// returns was verified. The same message gives the same signature.
func (s *Signer) Sign(ctx context.Context, message []byte) ([]byte, error) {
	switch {
	case len(message) == 0:
		return nil, errs.New(errs.Internal, "there is nothing to sign")
	case len(message) > MaxMessage:
		return nil, errs.New(errs.TooLarge, "KMS signs %d bytes at most", MaxMessage)
	}
	k, err := s.public(ctx)
	if err != nil {
		return nil, err
	}
	out, err := s.sign(ctx, &kms.SignInput{
		KeyId: &k.arn, Message: message,
		MessageType: types.MessageTypeRaw, SigningAlgorithm: types.SigningAlgorithmSpecEd25519Sha512,
	})
	if err != nil {
		return nil, cloud.Fault("kms Sign", err)
	}
	if !ed25519.Verify(k.key, message, out.Signature) {
		return nil, errs.New(errs.Internal, "kms Sign: the signature does not verify")
	}
	return out.Signature, nil
}

// PublicKey returns the id of the key (of the key itself, also where the signer
// knows it by an alias) and what its signatures are verified with.
func (s *Signer) PublicKey(ctx context.Context) (keyID string, key ed25519.PublicKey, err error) {
	k, err := s.public(ctx)
	if err != nil {
		return "", nil, err
	}
	return k.arn[strings.LastIndexByte(k.arn, '/')+1:], k.key, nil
}

func (s *Signer) public(ctx context.Context) (*publicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key != nil {
		return s.key, nil
	}
	out, err := s.publish(ctx, &kms.GetPublicKeyInput{KeyId: &s.id})
	if err != nil {
		return nil, cloud.Fault("kms GetPublicKey", err)
	}
	key, err := parse(out.PublicKey)
	if err != nil {
		return nil, err
	}
	s.key = &publicKey{aws.ToString(out.KeyId), key}
	return s.key, nil
}

// parse reads a public key as KMS gives it: SubjectPublicKeyInfo in DER
// (RFC 8410). A key of another kind is Internal: the template is at fault.
func parse(der []byte) (ed25519.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, err, "kms GetPublicKey: no public key")
	}
	key, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return nil, errs.New(errs.Internal, "kms GetPublicKey: the key is not one of Ed25519")
	}
	return key, nil
}
