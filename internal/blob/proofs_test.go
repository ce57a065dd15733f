package blob_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
)

// bucket is the Proofs bucket behind a transport that can be broken.
func bucket(t testing.TB) (*blob.Proofs, *faulty.Transport, *awstest.Env) {
	t.Helper()
	env := awstest.New(t)
	net := &faulty.Transport{}
	cfg := env.With(net.Wrap).Config
	cfg.Retryer = faulty.Impatient
	return blob.NewProofs(cfg, env.Getenv("PROOFS_BUCKET")), net, env
}

// kind is one kind of object with the place of one and the place of another.
type kind struct {
	put func(ctx context.Context, s *blob.Proofs, place string, body []byte) error
	get func(ctx context.Context, s *blob.Proofs, place string) ([]byte, error)
}

var kinds = map[string]kind{
	"form": {
		func(ctx context.Context, s *blob.Proofs, place string, body []byte) error {
			return s.PutForm(ctx, "shop", "digest", place, body)
		},
		func(ctx context.Context, s *blob.Proofs, place string) ([]byte, error) {
			return s.Form(ctx, "shop", "digest", place)
		},
	},
	"content": {
		func(ctx context.Context, s *blob.Proofs, place string, body []byte) error {
			return s.PutContent(ctx, "subject", place, "digest", body)
		},
		func(ctx context.Context, s *blob.Proofs, place string) ([]byte, error) {
			return s.Content(ctx, "subject", place, "digest")
		},
	},
	"notice": {
		func(ctx context.Context, s *blob.Proofs, place string, body []byte) error {
			return s.PutNotice(ctx, "shop", place, body)
		},
		func(ctx context.Context, s *blob.Proofs, place string) ([]byte, error) {
			return s.Notice(ctx, "shop", place)
		},
	},
	"document": {
		func(ctx context.Context, s *blob.Proofs, place string, body []byte) error {
			return s.PutDocument(ctx, "shop", place, "digest", body)
		},
		func(ctx context.Context, s *blob.Proofs, place string) ([]byte, error) {
			return s.Document(ctx, "shop", place, "digest")
		},
	},
}

// What is put is read back to the byte, is never changed, and what does not
// exist is not found.
func TestProofs_immutable(t *testing.T) {
	t.Parallel()
	s, _, _ := bucket(t)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for name, k := range kinds {
		for i, body := range [][]byte{[]byte("<form>é</form>"), every, bytes.Repeat([]byte("0123456789abcdef"), 1<<15), {}} {
			place := fmt.Sprint("p", i)
			if body, err := k.get(t.Context(), s, place); !errs.Is(err, errs.NotFound) || body != nil {
				t.Errorf("%s before it was put: %q, %v", name, body, err)
			}
			for _, put := range [][]byte{body, []byte("something else")} {
				if err := k.put(t.Context(), s, place, put); err != nil {
					t.Fatal(err)
				}
				if got, err := k.get(t.Context(), s, place); err != nil || !bytes.Equal(got, body) {
					t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(body))
				}
			}
		}
	}
}

// The kinds of objects stand apart, under the prefixes that the roles name.
func TestProofs_prefixes(t *testing.T) {
	t.Parallel()
	s, net, _ := bucket(t)
	for name, k := range kinds {
		net.Reset()
		if err := k.put(t.Context(), s, "place", []byte(name)); err != nil {
			t.Fatal(err)
		}
		_, key, _ := strings.Cut(net.Calls()[0].Path, "/")
		prefix := map[string]string{"form": "forms/shop/digest/place", "content": "content/subject/place/digest", "notice": "notices/shop/place", "document": "documents/shop/place/digest"}[name]
		if key != prefix {
			t.Errorf("a %s stands at %q, want %q", name, key, prefix)
		}
	}
}

func TestProofs_race(t *testing.T) {
	t.Parallel()
	s, _, _ := bucket(t)
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if err := s.PutForm(t.Context(), "shop", "digest", "n", []byte("<form>")); err != nil {
				t.Error(err)
			}
			if got, err := s.Form(t.Context(), "shop", "digest", "n"); err != nil || string(got) != "<form>" {
				t.Errorf("right after its put: %q, %v", got, err)
			}
		})
	}
	wg.Wait()
}

func TestProofs_faults(t *testing.T) {
	t.Parallel()
	for _, fault := range []faulty.Fault{faulty.Refused, faulty.TimedOut, faulty.Throttled, faulty.Failed, faulty.Conflict, faulty.Lost, faulty.LateReply, faulty.FailedYet} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			s, net, env := bucket(t)
			net.Break(faulty.Nth("s3.PutObject", 1, fault))
			if err := s.PutForm(t.Context(), "shop", "d", "once", []byte("x")); err != nil {
				t.Errorf("once: %v", err)
			}
			net.Break(faulty.Every("s3.PutObject", fault))
			if err := s.PutForm(t.Context(), "shop", "d", "always", []byte("x")); !errs.Is(err, errs.Unavailable) {
				t.Errorf("always: %v, want unavailable", err)
			}
			net.Break(faulty.Every("s3.GetObject", fault))
			if body, err := s.Form(t.Context(), "shop", "d", "once"); fault != faulty.Conflict && (!errs.Is(err, errs.Unavailable) || body != nil) {
				t.Errorf("reading: %q, %v; want unavailable", body, err)
			}
			net.Reset()
			list, err := s3.NewFromConfig(env.Config, func(o *s3.Options) { o.UsePathStyle = true }).
				ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(env.Getenv("PROOFS_BUCKET"))})
			if err != nil {
				t.Fatal(err)
			}
			want := 1
			if fault.Applied() {
				want = 2
			}
			if len(list.Versions) != want {
				t.Errorf("%d versions, want %d: a retry writes nothing twice", len(list.Versions), want)
			}
		})
	}
}

// An answer that breaks off is not a shorter object.
func TestProofs_cutOff(t *testing.T) {
	t.Parallel()
	s, net, _ := bucket(t)
	if err := s.PutForm(t.Context(), "shop", "d", "n", []byte("the whole form")); err != nil {
		t.Fatal(err)
	}
	net.Break(faulty.Every("s3.GetObject", faulty.Cut))
	if body, err := s.Form(t.Context(), "shop", "d", "n"); !errs.Is(err, errs.Unavailable) || body != nil {
		t.Errorf("%q, %v; want unavailable", body, err)
	}
}

// Waiting for another writer ends with the caller.
func TestProofs_canceled(t *testing.T) {
	t.Parallel()
	s, net, _ := bucket(t)
	ctx, cancel := context.WithCancel(t.Context())
	net.Break(func(faulty.Call) faulty.Fault {
		cancel()
		return faulty.Conflict
	})
	if err := s.PutForm(ctx, "shop", "d", "n", []byte("x")); !errs.Is(err, errs.Unavailable) {
		t.Errorf("%v, want unavailable", err)
	}
	if n := net.Counts()["s3.PutObject"]; n != 1 {
		t.Errorf("%d attempts after the caller went away", n)
	}
}

// A bucket that refuses is a fault of the installation, not of the moment.
func TestProofs_noBucket(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	s := blob.NewProofs(env.Config, "no-such-bucket")
	if err := s.PutForm(t.Context(), "shop", "d", "n", []byte("x")); !errs.Is(err, errs.Internal) {
		t.Errorf("%v, want internal", err)
	}
}
