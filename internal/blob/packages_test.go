package blob_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/dossier"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
)

// packages is a bucket of packages behind a transport that can be broken, and a
// client that is not.
func packages(t testing.TB) (*blob.Packages, *faulty.Transport, *s3.Client, string) {
	t.Helper()
	env := awstest.New(t)
	net := &faulty.Transport{}
	cfg := env.With(net.Wrap).Config
	cfg.Retryer = faulty.Impatient
	client := s3.NewFromConfig(env.Config, func(o *s3.Options) { o.UsePathStyle = true })
	name := env.Getenv("PACKAGES_BUCKET")
	return blob.NewPackages(cfg, name), net, client, name
}

func keys(t testing.TB, client *s3.Client, bucket string) []string {
	t.Helper()
	out, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, o := range out.Contents {
		list = append(list, *o.Key)
	}
	return list
}

// read reads a whole object through ReadAt.
func read(t testing.TB, s *blob.Packages, o dossier.Object) []byte {
	t.Helper()
	body := make([]byte, o.Bytes)
	if err := s.ReadAt(t.Context(), o.Key, body, 0); err != nil {
		t.Fatal(err)
	}
	return body
}

type consentRecord struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

func TestSink(t *testing.T) {
	t.Parallel()
	s, _, client, name := packages(t)
	big := make([]byte, 11<<20)
	_, _ = rand.Read(big)
	k, err := s.Sink(t.Context(), "r1", "ledger", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []consentRecord{{"1", "<b>&é"}, {"2", "line\nbreak"}} {
		if err := k.Record("consents", r); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Record("raw", json.RawMessage("{\n \"a\": \"<\"}")); err != nil {
		t.Fatal(err)
	}
	for file, body := range map[string][]byte{"../passport of Ana.pdf": big} {
		if err := k.File(t.Context(), file, "application/pdf", bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.File(t.Context(), "empty.txt", "text/plain", strings.NewReader("")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Part(t.Context(), "r1", "ledger", 0); !errs.Is(err, errs.NotFound) {
		t.Errorf("before Close: %v, want not found", err)
	}
	if err := k.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := k.Record("late", 1); err == nil {
		t.Error("a closed part takes another record")
	}
	p, err := s.Part(t.Context(), "r1", "ledger", 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"consents": 2, "raw": 1}, p.Counts); diff != "" {
		t.Error(diff)
	}
	want := `{"kind":"consents","record":{"id":"1","text":"<b>&é"}}
{"kind":"consents","record":{"id":"2","text":"line\nbreak"}}
{"kind":"raw","record":{"a":"<"}}
`
	if got := string(read(t, s, p.Records)); got != want {
		t.Errorf("records:\n%s\nwant\n%s", got, want)
	}
	if len(p.Files) != 2 || p.Files[0].Name != "../passport of Ana.pdf" || !bytes.Equal(read(t, s, p.Files[0].Object), big) || p.Files[1].Bytes != 0 {
		t.Errorf("files: %+v", p.Files)
	}
	for _, key := range keys(t, client, name) {
		if !strings.HasPrefix(key, "parts/r1/ledger/000000/") || strings.Contains(key, "passport") {
			t.Errorf("key %q", key)
		}
	}
}

// What a person uploads is found under its name, whoever writes it and however
// often, and not before it is whole.
func TestUploadSink(t *testing.T) {
	t.Parallel()
	s, _, client, name := packages(t)
	if _, err := s.UploadSink(t.Context(), "r1", "paper", ""); !errs.Is(err, errs.Internal) {
		t.Errorf("without a name: %v", err)
	}
	for range 2 {
		k, err := s.UploadSink(t.Context(), "r1", "paper", "d1")
		if err != nil {
			t.Fatal(err)
		}
		if err := k.File(t.Context(), "Ana.pdf", "application/pdf", strings.NewReader("%PDF")); err != nil {
			t.Fatal(err)
		}
		if err := k.Record("document", 1); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Uploaded(t.Context(), "r1", "paper", "d1"); len(keys(t, client, name)) == 1 && !errs.Is(err, errs.NotFound) {
			t.Errorf("before Close: %v, want not found", err)
		}
		if err := k.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p, err := s.Uploaded(t.Context(), "r1", "paper", "d1")
	if err != nil || len(p.Files) != 1 || string(read(t, s, p.Files[0].Object)) != "%PDF" || p.Counts["document"] != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	want := []string{"uploads/r1/paper/d1/files/0001", "uploads/r1/paper/d1/part.json", "uploads/r1/paper/d1/records.ndjson"}
	if diff := cmp.Diff(want, keys(t, client, name)); diff != "" {
		t.Error(diff)
	}
}

// A repeated step takes the place of the former one as a whole, and one that was
// never closed changes nothing.
func TestSink_repeated(t *testing.T) {
	t.Parallel()
	s, _, _, _ := packages(t)
	write := func(id string, files int, end bool) {
		t.Helper()
		k, err := s.Sink(t.Context(), "r", "desk", 3)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Record("tickets", consentRecord{ID: id}); err != nil {
			t.Fatal(err)
		}
		for range files {
			if err := k.File(t.Context(), "f", "text/plain", strings.NewReader(id)); err != nil {
				t.Fatal(err)
			}
		}
		if end {
			if err := k.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		id    string
		files int
		end   bool
		want  string
	}{{"first", 2, true, "first"}, {"crashed", 3, false, "first"}, {"second", 1, true, "second"}} {
		write(tt.id, tt.files, tt.end)
		p, err := s.Part(t.Context(), "r", "desk", 3)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(read(t, s, p.Records)); !strings.Contains(got, tt.want) {
			t.Errorf("after %s: %s", tt.id, got)
		}
		for _, f := range p.Files {
			if got := string(read(t, s, f.Object)); got != tt.want {
				t.Errorf("after %s: a file says %s", tt.id, got)
			}
		}
	}
}

func TestSink_refuses(t *testing.T) {
	t.Parallel()
	s, _, _, _ := packages(t)
	for name, tt := range map[string]struct {
		kind string
		v    any
		want errs.Kind
	}{
		"too large":  {"k", strings.Repeat("x", dossier.MaxRecord), errs.TooLarge},
		"no kind":    {"", 1, errs.Internal},
		"path":       {"a/b", 1, errs.Internal},
		"not json":   {"k", func() {}, errs.Internal},
		"line break": {"a\nb", 1, errs.Internal},
	} {
		k, err := s.Sink(t.Context(), "r", "desk", 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Record(tt.kind, tt.v); !errs.Is(err, tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
		if err := k.Close(t.Context()); err == nil {
			t.Errorf("%s: a part without its record is closed", name)
		}
	}
	for _, err := range []error{errors.New("vendor says ana@example.com"), errs.New(errs.Forbidden, "no")} {
		k, _ := s.Sink(t.Context(), "r", "desk", 0)
		got := k.File(t.Context(), "f", "text/plain", io.MultiReader(strings.NewReader("x"), failing{err}))
		if errs.Is(got, errs.Internal) || strings.Contains(got.Error(), "ana") || k.Close(t.Context()) == nil {
			t.Errorf("%v: %v", err, got)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Each call of a step may fail: the part is whole or does not count, and a
// repetition succeeds.
func TestSink_faults(t *testing.T) {
	t.Parallel()
	s, net, _, _ := packages(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 6<<16) // 6 MiB
	step := func() error {
		k, err := s.Sink(context.Background(), "r", "desk", 0)
		if err != nil {
			return err
		}
		if err := k.Record("tickets", "one"); err != nil {
			return err
		}
		if err := k.File(context.Background(), "f", "x/y", bytes.NewReader(big)); err != nil {
			return err
		}
		return k.Close(context.Background())
	}
	for _, fault := range append(faulty.Before, faulty.After...) {
		for _, op := range []string{"s3.PutObject", "s3.POST"} {
			for n := 1; n <= 4; n++ {
				net.Break(faulty.Nth(op, n, fault))
				if err := step(); err != nil {
					t.Errorf("%s %d of %s: %v", fault, n, op, err)
				}
				net.Reset()
				p, err := s.Part(t.Context(), "r", "desk", 0)
				if err != nil || len(p.Files) != 1 || !bytes.Equal(read(t, s, p.Files[0].Object), big) {
					t.Errorf("%s %d of %s: %+v, %v", fault, n, op, p, err)
				}
			}
			net.Break(faulty.Every(op, fault))
			if err := step(); !errs.Is(err, errs.Unavailable) {
				t.Errorf("always %s of %s: %v, want unavailable", fault, op, err)
			}
		}
	}
}

func TestPackages_upload(t *testing.T) {
	t.Parallel()
	s, net, _, _ := packages(t)
	ctx := t.Context()
	pieces := [][]byte{bytes.Repeat([]byte("a"), 5<<20), []byte("end")}
	upload, err := s.Begin(ctx, "r", "b")
	if err != nil {
		t.Fatal(err)
	}
	var tags []string
	for i, piece := range pieces {
		for range 2 { // again, as after a crash
			tag, err := s.Upload(ctx, "r", "b", upload, i+1, piece)
			if err != nil {
				t.Fatal(err)
			}
			tags = append(tags[:i], tag)
		}
	}
	if err := s.Finish(ctx, "r", "b", upload, []string{tags[0], tags[0]}, 5<<20+3); !errs.Is(err, errs.Conflict) {
		t.Errorf("with a piece that is another one: %v, want conflict", err)
	}
	net.Break(faulty.Nth("s3.POST", 1, faulty.Lost))
	for range 2 {
		if err := s.Finish(ctx, "r", "b", upload, tags, 5<<20+3); err != nil {
			t.Error(err)
		}
	}
	if err := s.Finish(ctx, "r", "other", upload, tags, 5<<20+3); !errs.Is(err, errs.Conflict) {
		t.Errorf("of an upload that is gone: %v, want conflict", err)
	}
	if _, err := s.Upload(ctx, "r", "b", upload, 3, []byte("x")); !errs.Is(err, errs.Conflict) {
		t.Errorf("after the end: %v, want conflict", err)
	}
	body, err := s.OpenPackage(ctx, "r", "b")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, bytes.Join(pieces, nil)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestPackages_download(t *testing.T) {
	t.Parallel()
	s, _, client, name := packages(t)
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &name, Key: aws.String("packages/r/b.zip"), Body: strings.NewReader("PK")}); err != nil {
		t.Fatal(err)
	}
	address, err := s.Download(t.Context(), "r", "b", "your data.zip", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "PK" || response.Header.Get("Content-Disposition") != `attachment; filename="your data.zip"` || response.Header.Get("Content-Type") != "application/zip" {
		t.Errorf("%d %q %v", response.StatusCode, body, response.Header)
	}
	broken, err := http.Get(strings.Replace(address, "/b.zip", "/c.zip", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Body.Close()
	if broken.StatusCode != http.StatusForbidden {
		t.Errorf("another object with the same signature: %d", broken.StatusCode)
	}
}

// The first certificate with a serial stays.
func TestPackages_certificate(t *testing.T) {
	t.Parallel()
	s, net, _, _ := packages(t)
	if _, err := s.Certificate(t.Context(), "r", 1); !errs.Is(err, errs.NotFound) {
		t.Errorf("before: %v", err)
	}
	net.Break(faulty.Nth("s3.PutObject", 1, faulty.Lost))
	for _, body := range []string{"first", "second"} {
		if got, err := s.PutCertificate(t.Context(), "r", 1, []byte(body)); err != nil || string(got) != "first" {
			t.Errorf("putting %s: %q, %v", body, got, err)
		}
	}
	if got, err := s.PutCertificate(t.Context(), "r", 2, []byte("second")); err != nil || string(got) != "second" {
		t.Errorf("%q, %v", got, err)
	}
}

// Forget leaves nothing of a request but its certificates, and nothing out;
// Remove leaves nothing.
func TestPackages_forget(t *testing.T) {
	t.Parallel()
	s, _, client, name := packages(t)
	ctx := t.Context()
	for _, key := range []string{"parts/r/desk/000000/part.json", "parts/r/desk/000000/N/files/0001", "uploads/r/paper/D/part.json", "uploads/r2/paper/D/part.json", "builds/r/b", "packages/r/b.zip", "certificates/r/1.json", "parts/r2/desk/000000/part.json"} {
		for range 2 {
			if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &name, Key: &key, Body: strings.NewReader("x")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.Begin(ctx, "r", "unfinished"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Forget(ctx, "r"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"certificates/r/1.json", "parts/r2/desk/000000/part.json", "uploads/r2/paper/D/part.json"}, keys(t, client, name)); diff != "" {
		t.Error(diff)
	}
	versions, err := client.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &name, Prefix: aws.String("parts/r/")})
	if err != nil || len(versions.Versions)+len(versions.DeleteMarkers) > 0 {
		t.Errorf("%+v, %v", versions, err)
	}
	uploads, err := client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &name})
	if err != nil || len(uploads.Uploads) > 0 {
		t.Errorf("uploads %+v, %v", uploads, err)
	}
	for range 2 {
		if err := s.Remove(ctx, "r"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"parts/r2/desk/000000/part.json", "uploads/r2/paper/D/part.json"}, keys(t, client, name)); diff != "" {
		t.Error(diff)
	}
}

// An answer that breaks off is asked for again, and is never a shorter one.
func TestPackages_cutOff(t *testing.T) {
	t.Parallel()
	s, net, client, name := packages(t)
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &name, Key: aws.String("k"), Body: strings.NewReader("0123456789")}); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 4)
	net.Break(faulty.Nth("s3.GetObject", 1, faulty.Cut))
	if err := s.ReadAt(t.Context(), "k", p, 3); err != nil || string(p) != "3456" {
		t.Errorf("%q, %v", p, err)
	}
	net.Break(faulty.Every("s3.GetObject", faulty.Cut))
	if err := s.ReadAt(t.Context(), "k", p, 3); !errs.Is(err, errs.Unavailable) {
		t.Errorf("%v, want unavailable", err)
	}
	net.Reset()
	if err := s.ReadAt(t.Context(), "k", p, 8); !errs.Is(err, errs.Unavailable) {
		t.Errorf("past the end: %v", err)
	}
	if err := s.ReadAt(t.Context(), "none", p, 0); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v, want not found", err)
	}
}
