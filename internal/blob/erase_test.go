package blob_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/errs"
)

// versions are the keys of all versions in the Proofs bucket, delete markers
// included.
func versions(t testing.TB, env *awstest.Env) []string {
	t.Helper()
	client := s3.NewFromConfig(env.Config, func(o *s3.Options) { o.UsePathStyle = true })
	list, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(env.Getenv("PROOFS_BUCKET"))})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, v := range list.Versions {
		keys = append(keys, *v.Key)
	}
	for _, m := range list.DeleteMarkers {
		keys = append(keys, *m.Key)
	}
	return keys
}

// TestErase: every version of what is named goes, whatever was done to it, and
// nothing beside it, although its name begins the same way.
func TestErase(t *testing.T) {
	t.Parallel()
	s, _, env := bucket(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	client := s3.NewFromConfig(env.Config, func(o *s3.Options) { o.UsePathStyle = true })
	name := aws.String(env.Getenv("PROOFS_BUCKET"))
	for _, id := range []string{"c1", "c10", "c2"} {
		must(s.PutContent(t.Context(), "subject", id, "d1", []byte(id)))
		must(s.PutContent(t.Context(), "subject", id, "d2", []byte(id)))
	}
	must(s.PutContent(t.Context(), "subject2", "c1", "d1", []byte("other")))
	for i := range 2 { // older versions, and a delete marker on top
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: name, Key: aws.String("content/subject/c1/d1"), Body: strings.NewReader(fmt.Sprint(i))})
		must(err)
	}
	_, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: name, Key: aws.String("content/subject/c1/d1")})
	must(err)

	list, next, err := s.Contents(t.Context(), "subject", "")
	if diff := cmp.Diff([]string{"c1", "c10", "c2"}, list); diff != "" || next != "" || err != nil {
		t.Errorf("%v %q %s", err, next, diff)
	}
	if list, _, _ := s.Contents(t.Context(), "subject", "c10"); !cmp.Equal([]string{"c2"}, list) {
		t.Errorf("behind c10: %v", list)
	}
	n, err := s.EraseContent(t.Context(), "subject", "c1")
	if must(err); n != 5 {
		t.Errorf("%d versions, want 5", n)
	}
	if n, err := s.EraseContent(t.Context(), "subject", "c1"); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	if got := versions(t, env); len(got) != 5 {
		t.Errorf("left: %v", got)
	}
	must(s.PutForm(t.Context(), "shop", "d", "n", []byte("form")))
	must(s.PutDocument(t.Context(), "shop", "id", "d", []byte("document")))
	if _, err := s.EraseForm(t.Context(), "shop", "d", "n"); err != nil {
		t.Error(err)
	}
	if _, err := s.EraseDocument(t.Context(), "shop", "id"); err != nil {
		t.Error(err)
	}
	if got := versions(t, env); len(got) != 5 {
		t.Errorf("left: %v", got)
	}
	// After the erasure the same object may be put anew.
	must(s.PutForm(t.Context(), "shop", "d", "n", []byte("form")))
	if body, err := s.Form(t.Context(), "shop", "d", "n"); string(body) != "form" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
}

// TestErase_emptyPart: a deletion that does not name whose object it is deletes
// nothing.
func TestErase_emptyPart(t *testing.T) {
	t.Parallel()
	s, _, env := bucket(t)
	if err := s.PutContent(t.Context(), "subject", "c1", "d1", []byte("x")); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func() (int, error){
		"no subject":  func() (int, error) { return s.EraseContent(t.Context(), "", "c1") },
		"no consent":  func() (int, error) { return s.EraseContent(t.Context(), "subject", "") },
		"no nonce":    func() (int, error) { return s.EraseForm(t.Context(), "shop", "d", "") },
		"no document": func() (int, error) { return s.EraseDocument(t.Context(), "shop", "") },
		"not kept":    func() (int, error) { return 0, s.EraseKept(t.Context(), "content/subject/c1/d1") },
	} {
		if _, err := f(); !errs.Is(err, errs.Internal) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := versions(t, env); len(got) != 1 {
		t.Errorf("left: %v", got)
	}
}

// TestKept: what is kept for claims is listed on the day after its last.
func TestKept(t *testing.T) {
	t.Parallel()
	s, _, _ := bucket(t)
	until := time.Date(2026, 5, 1, 23, 0, 0, 0, time.UTC)
	for _, day := range []int{0, 1, 400} {
		for range 2 {
			if err := s.Keep(t.Context(), until.AddDate(0, 0, day), "subject", "c1", []byte("proof")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct{ day, want int }{{0, 0}, {1, 1}, {2, 2}, {401, 3}} {
		keys, more, err := s.Expired(t.Context(), until.AddDate(0, 0, tt.day))
		if len(keys) != tt.want || more || err != nil {
			t.Errorf("on day %d: %v, %v, %v", tt.day, keys, more, err)
		}
	}
	keys, _, _ := s.Expired(t.Context(), until.AddDate(0, 0, 1))
	if err := s.EraseKept(t.Context(), keys[0]); err != nil {
		t.Fatal(err)
	}
	if keys, _, _ := s.Expired(t.Context(), until.AddDate(0, 0, 401)); len(keys) != 2 {
		t.Errorf("%v", keys)
	}
}
