package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/dossier"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

// Packages is the bucket of exports and certificates. No key of it holds
// personal data.
type Packages struct {
	client *s3.Client
	bucket string
	nonce  func() string
}

var (
	_ dossier.Store = (*Packages)(nil)
	_ request.Parts = (*Packages)(nil)
)

// NewPackages returns the given bucket.
func NewPackages(cfg aws.Config, bucket string) *Packages {
	return &Packages{client: client(cfg), bucket: bucket, nonce: rand.Text}
}

// Every key of the bucket is built here. A step's objects have a nonce, so that
// two attempts at a step never mix: the index of the part, written last, names
// those that count.
func partFolder(request, system string, chunk int) string {
	return fmt.Sprintf("parts/%s/%s/%06d", request, system, chunk)
}

// uploadFolder holds what a person has uploaded. Its name is the digest of all
// that is in it, so whoever writes it again writes the same.
func uploadFolder(request, system, name string) string {
	return fmt.Sprintf("uploads/%s/%s/%s", request, system, name)
}

func indexKey(folder string) string   { return folder + "/part.json" }
func recordsKey(folder string) string { return folder + "/records.ndjson" }
func fileKey(folder string, n int) string {
	return fmt.Sprintf("%s/files/%04d", folder, n)
}

func buildKey(request, build string) string   { return "builds/" + request + "/" + build }
func packageKey(request, build string) string { return "packages/" + request + "/" + build + ".zip" }

func certificateKey(request string, serial int) string {
	return "certificates/" + request + "/" + strconv.Itoa(serial) + ".json"
}

// ofRequest are the prefixes that Forget empties. Certificates stay.
func ofRequest(request string) []string {
	return []string{"parts/" + request + "/", "uploads/" + request + "/", "builds/" + request + "/", "packages/" + request + "/"}
}

// Part implements dossier.Store.
func (s *Packages) Part(ctx context.Context, request, system string, chunk int) (*dossier.Part, error) {
	return s.part(ctx, partFolder(request, system, chunk))
}

// Uploaded implements dossier.Store.
func (s *Packages) Uploaded(ctx context.Context, request, system, name string) (*dossier.Part, error) {
	return s.part(ctx, uploadFolder(request, system, name))
}

func (s *Packages) part(ctx context.Context, folder string) (*dossier.Part, error) {
	body, err := s.get(ctx, indexKey(folder))
	if err != nil {
		return nil, err
	}
	var p dossier.Part
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, errs.Wrap(errs.Internal, err, "the index of an exported part cannot be read")
	}
	return &p, nil
}

// readTries bounds how often a range is asked for when its body breaks off,
// which the SDK does not repeat by itself.
const readTries = 3

// ReadAt implements dossier.Store.
func (s *Packages) ReadAt(ctx context.Context, key string, p []byte, offset int64) error {
	if len(p) == 0 {
		return nil
	}
	var err error
	for range readTries {
		var out *s3.GetObjectOutput
		out, err = s.client.GetObject(ctx, &s3.GetObjectInput{
			Bucket: &s.bucket, Key: &key, Range: aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+int64(len(p))-1)),
		})
		if err != nil {
			return missing(err)
		}
		_, err = io.ReadFull(out.Body, p)
		_ = out.Body.Close()
		if err == nil {
			return nil
		}
	}
	return errs.Wrap(errs.Unavailable, err, "s3 GetObject: the answer broke off")
}

// State implements dossier.Store.
func (s *Packages) State(ctx context.Context, request, build string) ([]byte, error) {
	return s.get(ctx, buildKey(request, build))
}

// PutState implements dossier.Store.
func (s *Packages) PutState(ctx context.Context, request, build string, state []byte) error {
	return s.put(ctx, buildKey(request, build), state)
}

// Begin implements dossier.Store.
func (s *Packages) Begin(ctx context.Context, request, build string) (string, error) {
	return begin(ctx, s.client, s.bucket, packageKey(request, build), "application/zip")
}

// Upload implements dossier.Store.
func (s *Packages) Upload(ctx context.Context, request, build, upload string, n int, body []byte) (string, error) {
	return uploadPiece(ctx, s.client, s.bucket, packageKey(request, build), upload, n, body)
}

// Finish implements dossier.Store.
func (s *Packages) Finish(ctx context.Context, request, build, upload string, tags []string, bytes int64) error {
	return finish(ctx, s.client, s.bucket, packageKey(request, build), upload, tags, bytes)
}

// OpenPackage reads a finished package; the caller closes it.
func (s *Packages) OpenPackage(ctx context.Context, request, build string) (io.ReadCloser, error) {
	key := packageKey(request, build)
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return nil, missing(err)
	}
	return out.Body, nil
}

// Download is an address from which anybody who has it can fetch a package
// within valid (S3 allows up to seven days; a role's own credentials often end
// sooner), under the given file name, which holds no personal data. The address
// is a secret: it goes into no log.
func (s *Packages) Download(ctx context.Context, request, build, file string, valid time.Duration) (string, error) {
	key := packageKey(request, build)
	out, err := s3.NewPresignClient(s.client).PresignGetObject(ctx, &s3.GetObjectInput{
		Bucket: &s.bucket, Key: &key, ResponseContentType: aws.String("application/zip"),
		ResponseContentDisposition: aws.String(fmt.Sprintf("attachment; filename=%q", file)),
		ResponseCacheControl:       aws.String("no-store"),
	}, s3.WithPresignExpires(valid), func(o *s3.PresignOptions) { o.Presigner = v4.NewSigner() })
	if err != nil {
		return "", cloud.Fault("s3 presigning", err)
	}
	return out.URL, nil
}

// PutCertificate keeps a certificate, once: the first one with a serial stays,
// and is returned.
func (s *Packages) PutCertificate(ctx context.Context, request string, serial int, body []byte) (stored []byte, err error) {
	if err := putOnce(ctx, s.client, s.bucket, certificateKey(request, serial), body); err != nil {
		return nil, err
	}
	return s.Certificate(ctx, request, serial)
}

// Certificate reads a certificate; NotFound.
func (s *Packages) Certificate(ctx context.Context, request string, serial int) ([]byte, error) {
	return s.get(ctx, certificateKey(request, serial))
}

// Forget deletes everything of a request but its certificates: parts, states,
// packages, and uploads that nobody finished, in all versions. It may be
// repeated.
//
// Only the role of the function erase may do this.
func (s *Packages) Forget(ctx context.Context, request string) error {
	if err := s.AbortUploads(ctx, request); err != nil {
		return err
	}
	for _, prefix := range ofRequest(request) {
		if err := s.empty(ctx, prefix); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes all of a request, its certificates included. It may be
// repeated.
func (s *Packages) Remove(ctx context.Context, request string) error {
	if err := s.Forget(ctx, request); err != nil {
		return err
	}
	return s.empty(ctx, "certificates/"+request+"/")
}

// AbortUploads ends the uploads of a request that nobody has finished, as the
// bucket's lifecycle rule does after some days.
func (s *Packages) AbortUploads(ctx context.Context, request string) error {
	for _, prefix := range ofRequest(request) {
		if err := s.abort(ctx, prefix); err != nil {
			return err
		}
	}
	return nil
}

func (s *Packages) abort(ctx context.Context, prefix string) error {
	pages := s3.NewListMultipartUploadsPaginator(s.client, &s3.ListMultipartUploadsInput{Bucket: &s.bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return cloud.Fault("s3 ListMultipartUploads", err)
		}
		for _, u := range page.Uploads {
			_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.bucket, Key: u.Key, UploadId: u.UploadId})
			if err != nil && code(err) != "NoSuchUpload" {
				return cloud.Fault("s3 AbortMultipartUpload", err)
			}
		}
	}
	return nil
}

func (s *Packages) empty(ctx context.Context, prefix string) error {
	pages := s3.NewListObjectVersionsPaginator(s.client, &s3.ListObjectVersionsInput{Bucket: &s.bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return cloud.Fault("s3 ListObjectVersions", err)
		}
		var gone []types.ObjectIdentifier
		for _, v := range page.Versions {
			gone = append(gone, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, m := range page.DeleteMarkers {
			gone = append(gone, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		if len(gone) == 0 {
			continue
		}
		out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: &s.bucket, Delete: &types.Delete{Objects: gone, Quiet: aws.Bool(true)},
		})
		if err != nil {
			return cloud.Fault("s3 DeleteObjects", err)
		}
		if len(out.Errors) > 0 {
			return errs.New(errs.Unavailable, "s3 DeleteObjects: %d of %d objects stay: %s", len(out.Errors), len(gone), aws.ToString(out.Errors[0].Code))
		}
	}
	return nil
}

func (s *Packages) put(ctx context.Context, key string, body []byte) error {
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: bytes.NewReader(body)})
	return cloud.Fault("s3 PutObject", err)
}

func (s *Packages) get(ctx context.Context, key string) ([]byte, error) {
	return getObject(ctx, s.client, s.bucket, key)
}

// missing is Fault for a read, where the object may not exist.
func missing(err error) error {
	var no *types.NoSuchKey
	if errors.As(err, &no) {
		return errs.Wrap(errs.NotFound, err, "the object does not exist")
	}
	return cloud.Fault("s3 GetObject", err)
}
