package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/secret"
)

func TestStore(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	s := secret.NewStore(env.Config)
	name := env.Getenv("TOKEN_SECRET_PREFIX") + "k1"
	if value, err := s.Value(t.Context(), name); !errs.Is(err, errs.NotFound) || value != nil {
		t.Errorf("before it is made: %q, %v", value, err)
	}
	// A busy emulator may drop a reply, and does not know the SDK's retry by its token, as AWS does.
	made := s.Create(t.Context(), name, "a test", []byte("s3cret é"))
	if value, err := s.Value(t.Context(), name); err != nil || string(value) != "s3cret é" {
		t.Errorf("%q, %v, %v", value, err, made)
	}
	if err := s.Create(t.Context(), name, "a test", []byte("other")); err == nil {
		t.Error("a secret was made twice")
	}
	for _, text := range []string{"first", "second"} { // makes it, then replaces its value
		if err := s.Put(t.Context(), name+"-put", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if value, err := s.Value(t.Context(), name+"-put"); err != nil || string(value) != text {
			t.Errorf("put %s: %q, %v", text, value, err)
		}
	}
	if value, err := s.Value(t.Context(), env.Getenv("PSEUDONYM_SECRET")); err != nil || len(value) < 32 {
		t.Errorf("the pseudonym secret: %d bytes, %v", len(value), err)
	}
}

// A secret that cannot be read is not one that does not exist.
func TestStore_unavailable(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	net := &faulty.Transport{}
	cfg := env.With(net.Wrap).Config
	cfg.Retryer = faulty.Impatient
	s := secret.NewStore(cfg)
	for _, fault := range []faulty.Fault{faulty.Refused, faulty.TimedOut, faulty.Throttled, faulty.Failed, faulty.Lost, faulty.Cut} {
		net.Break(faulty.Every("secretsmanager.GetSecretValue", fault))
		value, err := s.Value(t.Context(), env.Getenv("PSEUDONYM_SECRET"))
		if !errs.Is(err, errs.Unavailable) || value != nil || strings.Contains(err.Error(), "pseudonym") {
			t.Errorf("%v: %d bytes, %v", fault, len(value), err)
		}
		net.Break(faulty.Nth("secretsmanager.GetSecretValue", 1, fault))
		if _, err := s.Value(t.Context(), env.Getenv("PSEUDONYM_SECRET")); err != nil {
			t.Errorf("%v, once: %v", fault, err)
		}
	}
}

// rule is what AWS does and the emulator does not: a version keeps its content.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
type rule struct {
	next http.RoundTripper
	mu   sync.Mutex
	held map[string]string // content by version
}

func (r *rule) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("X-Amz-Target") != "secretsmanager.PutSecretValue" {
		return r.next.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var in struct{ ClientRequestToken, SecretString string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if n := len(in.ClientRequestToken); n < 32 || n > 64 {
		return nil, fmt.Errorf("a token of %d characters", n)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if held, ok := r.held[in.ClientRequestToken]; ok && held != in.SecretString {
		const taken = `{"__type":"ResourceExistsException","message":"s3cret"}`
		return &http.Response{StatusCode: 400, Request: req, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}}, Body: io.NopCloser(strings.NewReader(taken)), ContentLength: int64(len(taken)), ProtoMajor: 1, ProtoMinor: 1}, nil
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	res, err := r.next.RoundTrip(req)
	if err == nil && res.StatusCode == 200 {
		r.held[in.ClientRequestToken] = in.SecretString
	}
	return res, err
}

// Of all who replace the same version one wins, and the others change nothing.
func TestStore_replace(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	aws := &rule{held: map[string]string{}}
	s := secret.NewStore(env.With(func(next http.RoundTripper) http.RoundTripper { aws.next = next; return aws }).Config)
	name := env.Getenv("SYSTEMS_SECRET")
	_, version, err := s.Current(t.Context(), name)
	if err != nil || version == "" {
		t.Fatalf("%q, %v", version, err)
	}
	const writers = 8
	var won atomic.Int32
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			switch err := s.Replace(t.Context(), name, fmt.Appendf(nil, "text %d", i), version); {
			case err == nil:
				won.Add(1)
			case !errs.Is(err, errs.Conflict):
				t.Error(err)
			}
		})
	}
	all.Wait()
	value, next, err := s.Current(t.Context(), name)
	if won.Load() != 1 || err != nil || next != secret.Following(version) || !strings.HasPrefix(string(value), "text ") {
		t.Errorf("%d have won; %q of version %s, %v", won.Load(), value, next, err)
	}
	if err := s.Replace(t.Context(), name, value, version); err != nil { // a retry
		t.Error(err)
	}
	if err := s.Replace(t.Context(), name, []byte("late"), version); !errs.Is(err, errs.Conflict) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("late: %v", err)
	}
	if err := s.Replace(t.Context(), name, []byte("third"), next); err != nil {
		t.Error(err)
	}
	if err := s.Replace(t.Context(), name+"-none", nil, ""); err == nil {
		t.Error("a secret that does not exist was replaced")
	}
}
