package blob

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
)

var errEmptyPart = errs.New(errs.Internal, "a deletion that does not name whose object it is")

// What follows only the function erase may call: it deletes every version of an
// object, and delete markers, because a deletion that leaves a version is none.

// Contents lists the consents of a subject that have large content, those of
// earlier versions included, in order: up to a page behind the one given ("" from
// the first). next is "" on the last page.
func (s *Proofs) Contents(ctx context.Context, subject, after string) (consents []string, next string, err error) {
	prefix := strings.TrimRight(contentKey(subject, "", ""), "/") + "/"
	in := &s3.ListObjectVersionsInput{Bucket: &s.bucket, Prefix: &prefix}
	if after != "" {
		in.KeyMarker = aws.String(prefix + after + "/~") // behind every digest of that consent
	}
	out, err := s.client.ListObjectVersions(ctx, in)
	if err != nil {
		return nil, "", cloud.Fault("s3 ListObjectVersions", err)
	}
	add := func(key *string) {
		id, _, _ := strings.Cut(strings.TrimPrefix(aws.ToString(key), prefix), "/")
		consents = append(consents, id)
	}
	for _, v := range out.Versions {
		add(v.Key)
	}
	for _, m := range out.DeleteMarkers {
		add(m.Key)
	}
	slices.Sort(consents)
	consents = slices.Compact(consents)
	if aws.ToBool(out.IsTruncated) && len(consents) > 0 {
		next = consents[len(consents)-1]
	}
	return consents, next, nil
}

// EraseContent deletes the large contents of one consent and returns how many
// versions there were.
func (s *Proofs) EraseContent(ctx context.Context, subject, consentID string) (int, error) {
	return s.erase(ctx, contentKey(subject, consentID, ""))
}

// EraseForm deletes one form.
func (s *Proofs) EraseForm(ctx context.Context, site, digest, nonce string) (int, error) {
	if nonce == "" {
		return 0, errEmptyPart
	}
	return s.erase(ctx, formKey(site, digest, nonce))
}

// EraseDocument deletes the bytes of a document.
func (s *Proofs) EraseDocument(ctx context.Context, site, id string) (int, error) {
	return s.erase(ctx, documentKey(site, id, ""))
}

// erase deletes all versions of what a key names: of one object or, where the
// key ends with a slash, of all below it. An empty part would name more than
// that, so it is refused.
func (s *Proofs) erase(ctx context.Context, key string) (int, error) {
	if strings.Contains(key, "//") {
		return 0, errEmptyPart
	}
	n := 0
	for {
		out, err := s.client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &s.bucket, Prefix: &key})
		if err != nil {
			return n, cloud.Fault("s3 ListObjectVersions", err)
		}
		var found [][2]*string
		for _, v := range out.Versions {
			found = append(found, [2]*string{v.Key, v.VersionId})
		}
		for _, m := range out.DeleteMarkers {
			found = append(found, [2]*string{m.Key, m.VersionId})
		}
		for _, f := range found {
			_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: f[0], VersionId: f[1]})
			if err != nil {
				return n, cloud.Fault("s3 DeleteObject", err)
			}
			n++
		}
		if !aws.ToBool(out.IsTruncated) || len(found) == 0 {
			return n, nil
		}
	}
}

// keptKey is where the proof of an erased consent stands until it expires: the
// day of its expiry first, so that what has expired is listed first.
func keptKey(until time.Time, subject, consentID string) string {
	return "kept/" + until.UTC().Format(time.DateOnly) + "/" + subject + "/" + consentID
}

// Keep stores the proof of a consent that is about to be erased, for legal
// claims, until a day. Storing it again changes nothing.
func (s *Proofs) Keep(ctx context.Context, until time.Time, subject, consentID string, body []byte) error {
	return s.put(ctx, keptKey(until, subject, consentID), body)
}

// Expired lists up to a page of kept proofs whose day is over.
func (s *Proofs) Expired(ctx context.Context, now time.Time) (keys []string, more bool, err error) {
	out, err := s.client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &s.bucket, Prefix: aws.String("kept/")})
	if err != nil {
		return nil, false, cloud.Fault("s3 ListObjectVersions", err)
	}
	today := "kept/" + now.UTC().Format(time.DateOnly)
	for _, v := range out.Versions {
		if aws.ToString(v.Key) >= today {
			return slices.Compact(keys), false, nil
		}
		keys = append(keys, aws.ToString(v.Key))
	}
	return slices.Compact(keys), aws.ToBool(out.IsTruncated), nil
}

// EraseKept deletes a kept proof that Expired has listed.
func (s *Proofs) EraseKept(ctx context.Context, key string) error {
	if !strings.HasPrefix(key, "kept/") {
		return errEmptyPart
	}
	_, err := s.erase(ctx, key)
	return err
}
