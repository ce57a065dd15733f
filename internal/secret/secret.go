// Package secret reads and writes secrets of Secrets Manager.
package secret

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
)

// Store reads and writes secrets.
type Store struct {
	get    cloud.Call[secretsmanager.GetSecretValueInput, secretsmanager.GetSecretValueOutput, secretsmanager.Options]
	put    cloud.Call[secretsmanager.PutSecretValueInput, secretsmanager.PutSecretValueOutput, secretsmanager.Options]
	create cloud.Call[secretsmanager.CreateSecretInput, secretsmanager.CreateSecretOutput, secretsmanager.Options]
}

// NewStore returns a Store.
func NewStore(cfg aws.Config) *Store {
	client := secretsmanager.NewFromConfig(cfg)
	return &Store{get: client.GetSecretValue, put: client.PutSecretValue, create: client.CreateSecret}
}

// Value reads a secret by name or ARN. One that does not exist is NotFound.
func (s *Store) Value(ctx context.Context, id string) ([]byte, error) {
	out, err := s.get(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return nil, errs.Wrap(errs.NotFound, err, "the secret does not exist")
	}
	if err != nil {
		return nil, cloud.Fault("secretsmanager GetSecretValue", err)
	}
	return []byte(aws.ToString(out.SecretString)), nil
}

// Current reads a secret with the name of its version, for Replace.
func (s *Store) Current(ctx context.Context, id string) (value []byte, version string, err error) {
	out, err := s.get(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if err != nil {
		return nil, "", cloud.Fault("secretsmanager GetSecretValue", err)
	}
	return []byte(aws.ToString(out.SecretString)), aws.ToString(out.VersionId), nil
}

// Following is the name of the only version that Replace puts after another one.
func Following(version string) string {
	sum := sha256.Sum256([]byte("after " + version))
	return hex.EncodeToString(sum[:])
}

// Replace gives a secret another value if it still has the version that the
// caller read; else a Conflict. Twice is once. Secrets Manager has no condition
// for that, but the versions of a secret have one content each: whoever follows
// the same version writes under the same name, and the second finds it taken.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
func (s *Store) Replace(ctx context.Context, id string, value []byte, version string) error {
	held, now, err := s.Current(ctx, id)
	next := Following(version)
	switch {
	case err != nil:
		return err
	case now == next && bytes.Equal(held, value): // an earlier call did it
		return nil
	case now != version:
		return errChanged
	}
	out, err := s.put(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &id, SecretString: aws.String(string(value)), ClientRequestToken: &next,
	})
	var taken *types.ResourceExistsException
	if errors.As(err, &taken) || err == nil && !slices.Contains(out.VersionStages, "AWSCURRENT") {
		return errChanged
	}
	return cloud.Fault("secretsmanager PutSecretValue", err)
}

var errChanged = errs.New(errs.Conflict, "it has changed since it was read: read it again")

// Create makes a secret.
func (s *Store) Create(ctx context.Context, name, description string, value []byte) error {
	_, err := s.create(ctx, &secretsmanager.CreateSecretInput{
		Name: &name, Description: &description, SecretString: aws.String(string(value)),
	})
	return cloud.Fault("secretsmanager CreateSecret", err)
}

// Put makes a secret, or gives one that exists another value.
func (s *Store) Put(ctx context.Context, name string, value []byte) error {
	text := string(value)
	_, err := s.put(ctx, &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: &text})
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return s.Create(ctx, name, "made by Avow's administrator", value)
	}
	return cloud.Fault("secretsmanager PutSecretValue", err)
}
