package blob_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/errs"
)

// checksums notes what the calls of a multipart upload say of checksums.
type checksums struct {
	next     http.RoundTripper
	mu       sync.Mutex
	declared []string            // by each create
	pieces   []map[string]string // by each piece: header or trailer and value
	named    []string            // by complete
}

func (c *checksums) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		c.declared = append(c.declared, r.Header.Get("X-Amz-Checksum-Algorithm"))
	case r.Method == http.MethodPut && q.Has("uploadId"):
		piece := map[string]string{}
		for name := range r.Header {
			if algorithm, ok := strings.CutPrefix(name, "X-Amz-Checksum-"); ok {
				piece[strings.ToUpper(algorithm)] = r.Header.Get(name)
			}
		}
		if trailer := r.Header.Get("X-Amz-Trailer"); trailer != "" {
			piece[trailer] = ""
		}
		c.pieces = append(c.pieces, piece)
	case r.Method == http.MethodPost && q.Has("uploadId"):
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var complete struct {
			Part []struct{ ChecksumCRC32 string }
		}
		if err := xml.Unmarshal(body, &complete); err != nil {
			return nil, err
		}
		for _, p := range complete.Part {
			c.named = append(c.named, p.ChecksumCRC32)
		}
	}
	return c.next.RoundTrip(r)
}

// S3 finds a piece again only when it carries the checksum that the upload has
// declared, and when the end of the upload names it. Emulators do not care.
func TestUpload_checksums(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	wire := &checksums{}
	cfg := env.With(func(next http.RoundTripper) http.RoundTripper { wire.next = next; return wire }).Config
	cfg.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported // as the SDK loads it
	s := blob.NewPackages(cfg, env.Getenv("PACKAGES_BUCKET"))

	k, err := s.Sink(t.Context(), "r1", "desk", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.File(t.Context(), "film.mp4", "video/mp4", io.LimitReader(endless{}, 11<<20)); err != nil {
		t.Fatal(err)
	}
	upload, err := s.Begin(t.Context(), "r1", "b1")
	if err != nil {
		t.Fatal(err)
	}
	tag, err := s.Upload(t.Context(), "r1", "b1", upload, 1, []byte("PK"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(t.Context(), "r1", "b1", upload, []string{tag}, 2); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"CRC32", "CRC32"}, wire.declared); diff != "" {
		t.Error(diff)
	}
	var carried []string
	for _, piece := range wire.pieces {
		if len(piece) != 1 || piece["CRC32"] == "" {
			t.Errorf("a piece carries %v, want the one that is declared", piece)
		}
		carried = append(carried, piece["CRC32"])
	}
	if len(carried) != 4 || !slices.Equal(carried, wire.named) {
		t.Errorf("pieces carry %q, and are named with %q", carried, wire.named)
	}
}

// A build that an earlier version has begun cannot be finished: it begins anew.
func TestFinish_undeclared(t *testing.T) {
	t.Parallel()
	s, _, _, _ := packages(t)
	upload, err := s.Begin(t.Context(), "r1", "b1")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(t.Context(), "r1", "b1", upload, []string{`"5d41402abc4b2a76b9719d911017c592"`}, 2); !errs.Is(err, errs.Conflict) {
		t.Errorf("%v, want a conflict", err)
	}
}
