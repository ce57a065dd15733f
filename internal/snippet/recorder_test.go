package snippet_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/snippet"
)

const publicKey = "pub0123456789abcdefghijklmnopqrs"

// post is one consent as it arrived.
type post struct {
	key      string // Idempotency-Key
	isBeacon bool   // sent by sendBeacon: what is a header else stands in the query
	body     map[string]any
}

// reply is how the recorder answers one post.
type reply func(w http.ResponseWriter, p post)

// accepted answers as the API does.
func accepted(w http.ResponseWriter, p post) {
	writeJSON(w, http.StatusOK, map[string]any{"id": p.key, "timestamp": p.body["timestamp"], "subject_id": "subject-1"})
}

// unheard takes the post but lets the browser have no answer, as when the connection drops: to fetch, an answer
// without CORS headers is none.
func unheard(w http.ResponseWriter, p post) {
	w.Header().Del("Access-Control-Allow-Origin")
	accepted(w, p)
}

func refused(status int, body any) reply {
	return func(w http.ResponseWriter, _ post) { writeJSON(w, status, body) }
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// recorder stands where the API stands: it serves the script, checks everything that must be true of any post from
// a browser, and keeps the posts for the test to look at.
type recorder struct {
	t   testing.TB
	URL string

	mu      sync.Mutex
	posts   []post
	replies []reply // for the next posts; then accepted
	slow    bool    // take a second to allow a post, so that pages can leave before it
	arrived chan struct{}
}

func newRecorder(t testing.TB, replies ...reply) *recorder {
	r := &recorder{t: t, replies: replies, arrived: make(chan struct{}, 100)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /avow.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", snippet.ContentType)
		w.Header().Set("ETag", snippet.ETag())
		w.Write(snippet.Source())
	})
	mux.HandleFunc("OPTIONS /public/consent", func(w http.ResponseWriter, _ *http.Request) {
		if r.slow {
			time.Sleep(time.Second)
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Methods", "POST")
		h.Set("Access-Control-Allow-Headers", "apikey,content-type,idempotency-key")
	})
	mux.HandleFunc("POST /public/consent", r.take)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

func (r *recorder) take(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	p := post{key: req.Header.Get("Idempotency-Key"), isBeacon: strings.HasPrefix(req.Header.Get("Content-Type"), "text/plain")}
	if p.isBeacon {
		p.key = req.URL.Query().Get("idempotency_key")
	}
	b, err := io.ReadAll(req.Body)
	if err == nil {
		err = json.Unmarshal(b, &p.body)
	}
	if err != nil {
		r.t.Errorf("reading a post: %v", err)
	}
	r.check(req, p)

	r.mu.Lock()
	answer := accepted
	if len(r.replies) > 0 {
		answer, r.replies = r.replies[0], r.replies[1:]
	}
	// A page that goes cannot hear whether its post has arrived and may hand it to the browser once more.
	isEcho := slices.ContainsFunc(r.posts, func(earlier post) bool {
		return earlier.key == p.key && (p.isBeacon || earlier.isBeacon)
	})
	if !isEcho {
		r.posts = append(r.posts, p)
	}
	r.mu.Unlock()
	answer(w, p)
	if !isEcho {
		r.arrived <- struct{}{}
	}
}

// check asserts what holds for every post.
func (r *recorder) check(req *http.Request, p post) {
	want := map[string]string{"ApiKey": publicKey, "Content-Type": "application/json", "Cookie": ""}
	if p.isBeacon {
		want["ApiKey"], want["Content-Type"] = "", "text/plain;charset=UTF-8"
		if got := req.URL.Query().Get("key"); got != publicKey {
			r.t.Errorf("query parameter key = %q, want %q", got, publicKey)
		}
	}
	for name, want := range want {
		if got := req.Header.Get(name); got != want {
			r.t.Errorf("header %s = %q, want %q", name, got, want)
		}
	}
	id, err := uuid.Parse(p.key)
	if err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 {
		r.t.Errorf("Idempotency-Key %q is not a UUIDv7", p.key)
	} else if s, ns := id.Time().UnixTime(); time.Since(time.Unix(s, ns)).Abs() > time.Minute {
		r.t.Errorf("Idempotency-Key %q is not of this minute", p.key)
	}
	if sent := instant(r.t, p, "sent_at"); sent.Before(instant(r.t, p, "timestamp")) {
		r.t.Errorf("sent_at %v is before timestamp", sent)
	}
}

// instant reads a time field of a post.
func instant(t testing.TB, p post, field string) time.Time {
	s, _ := p.body[field].(string)
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Errorf("%s: %v", field, err)
	}
	return at
}

// wait returns the posts once there are n of them, and a moment later still only n.
func (r *recorder) wait(n int) []post {
	r.t.Helper()
	for range n {
		select {
		case <-r.arrived:
		case <-time.After(time.Minute):
			r.t.Fatalf("waiting for %d posts: got %d", n, len(r.all()))
		}
	}
	select {
	case <-r.arrived:
		r.t.Fatalf("more than %d posts: %v", n, r.all())
	case <-time.After(400 * time.Millisecond):
	}
	return r.all()
}

func (r *recorder) one() post { r.t.Helper(); return r.wait(1)[0] }

func (r *recorder) all() []post {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]post(nil), r.posts...)
}

// proof returns what was entered, and the form, of the only proof.

func (p post) proof(t testing.TB) (content map[string]any, form string) {
	t.Helper()
	proofs, _ := p.body["proofs"].([]any)
	if len(proofs) != 1 {
		t.Fatalf("proofs = %v, want one", p.body["proofs"])
	}
	fields := proofs[0].(map[string]any)
	if err := json.Unmarshal([]byte(fields["content"].(string)), &content); err != nil {
		t.Fatalf("proof content: %v", err)
	}
	if _, ok := content["_avow"].(map[string]any); !ok {
		t.Errorf("proof content says nothing of how the form was shown: %v", content)
	}
	delete(content, "_avow")
	return content, fields["form"].(string)
}
