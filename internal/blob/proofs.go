// Package blob keeps objects: in the Proofs bucket forms, contents, the texts of
// notices and documents, which never change; in the Packages bucket what systems
// export of a person, the packages made of it, and certificates.
package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithytime "github.com/aws/smithy-go/time"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
)

// Proofs is the bucket.
type Proofs struct {
	client *s3.Client
	bucket string
}

var _ consent.Proofs = (*Proofs)(nil)

// NewProofs returns the given bucket.
func NewProofs(cfg aws.Config, bucket string) *Proofs {
	return &Proofs{client: client(cfg), bucket: bucket}
}

func client(cfg aws.Config) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil // an emulator has no name for each bucket
	})
}

// Every key of the bucket is built here.
func formKey(site, digest, nonce string) string { return "forms/" + site + "/" + digest + "/" + nonce }

func contentKey(subject, consentID, digest string) string {
	return "content/" + subject + "/" + consentID + "/" + digest
}

func noticeKey(site, digest string) string { return "notices/" + site + "/" + digest }

func documentKey(site, id, digest string) string {
	return "documents/" + site + "/" + id + "/" + digest
}

// PutForm implements consent.Proofs.
func (s *Proofs) PutForm(ctx context.Context, site, digest, nonce string, body []byte) error {
	return s.put(ctx, formKey(site, digest, nonce), body)
}

// PutContent implements consent.Proofs.
func (s *Proofs) PutContent(ctx context.Context, subject, consentID, digest string, body []byte) error {
	return s.put(ctx, contentKey(subject, consentID, digest), body)
}

// PutNotice keeps a text of a legal notice under its digest.
func (s *Proofs) PutNotice(ctx context.Context, site, digest string, body []byte) error {
	return s.put(ctx, noticeKey(site, digest), body)
}

// PutDocument keeps the bytes of a document.
func (s *Proofs) PutDocument(ctx context.Context, site, id, digest string, body []byte) error {
	return s.put(ctx, documentKey(site, id, digest), body)
}

// Form reads a form as it was shown.
func (s *Proofs) Form(ctx context.Context, site, digest, nonce string) ([]byte, error) {
	return s.get(ctx, formKey(site, digest, nonce))
}

// Content reads a large content.
func (s *Proofs) Content(ctx context.Context, subject, consentID, digest string) ([]byte, error) {
	return s.get(ctx, contentKey(subject, consentID, digest))
}

// Notice reads a text of a legal notice.
func (s *Proofs) Notice(ctx context.Context, site, digest string) ([]byte, error) {
	return s.get(ctx, noticeKey(site, digest))
}

// Document reads the bytes of a document.
func (s *Proofs) Document(ctx context.Context, site, id, digest string) ([]byte, error) {
	return s.get(ctx, documentKey(site, id, digest))
}

func (s *Proofs) put(ctx context.Context, key string, body []byte) error {
	return putOnce(ctx, s.client, s.bucket, key, body)
}

func (s *Proofs) get(ctx context.Context, key string) ([]byte, error) {
	return getObject(ctx, s.client, s.bucket, key)
}

// putOnce stores an object unless it exists. S3 answers 409 when another writer
// is at the same key at this moment; the SDK does not retry that by itself.
func putOnce(ctx context.Context, client *s3.Client, bucket, key string, body []byte) error {
	const tries = 5
	var err error
	for try := range tries {
		_, err = client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &bucket, Key: &key, Body: bytes.NewReader(body), IfNoneMatch: aws.String("*"),
		})
		switch code(err) {
		case "":
			return cloud.Fault("s3 PutObject", err)
		case "PreconditionFailed":
			return nil // it exists; of proofs with the same bytes: the name is their digest
		case "ConditionalRequestConflict":
			if err := smithytime.SleepWithContext(ctx, 20*time.Millisecond<<try); err != nil {
				return cloud.Fault("s3 PutObject", err)
			}
		default:
			return cloud.Fault("s3 PutObject", err)
		}
	}
	return errs.Wrap(errs.Unavailable, err, "s3 PutObject: conflict")
}

func getObject(ctx context.Context, client *s3.Client, bucket, key string) ([]byte, error) {
	out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, missing(err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		return nil, cloud.Fault("s3 GetObject", err)
	}
	return body, nil
}

// code is the error code of the service, "" when there is no such error.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
