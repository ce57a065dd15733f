package ledger_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/ledger"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

// export runs an export to its end.
func (w *world) export(s connector.Subject) *sink {
	w.t.Helper()
	out := newSink()
	s, _ = w.locate(s)
	call := w.call(connector.Export, s)
	call.Out = out
	w.run(call)
	return out
}

// TestExport: every consent with the exact texts, what was entered and shown, and
// nothing of anybody else.
func TestExport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	publisher := consent.Publisher{
		Notices: dynamo.NewNotices(w.env.Config, w.env.Getenv("NOTICES_TABLE")), Texts: w.proofs, Documents: w.docs,
		Hasher: w.hasher, Now: w.now, NewID: w.newID,
	}
	publish := func(text string) {
		_, err := publisher.Publish(t.Context(), consent.Policy{Site: shop, Backdate: time.Hour}, "", []consent.NoticeDraft{{Identifier: "../terms", Texts: map[string]string{"en": text, "fr": "fr " + text}}})
		must(t, err)
	}
	publish("terms, first")
	w.inhabit()
	s := submission(consent.Public, "", ines, "true")
	s.LegalNotices = []consent.NoticeRef{{Identifier: "../terms"}}
	s.Proofs = proof("<script>alert(1)</script>", "<form>of everybody</form>")
	w.post(s)
	w.advance(time.Minute)
	publish("terms, second")
	w.post(s)
	w.project()

	out := w.export(of(ines))
	var kinds = map[string]int{}
	for kind, list := range out.records {
		kinds[kind] = len(list)
	}
	if diff := cmp.Diff(map[string]int{"subjects": 2, "consents": 5, "statements": 1, "links": 1}, kinds); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	texts := map[string]bool{}
	for name, body := range out.files {
		texts[body] = true
		if strings.Contains(name, "..") {
			t.Errorf("a file is named %s", name)
		}
	}
	for _, want := range []string{"terms, first", "fr terms, first", "terms, second", large, "<form>for Ines alone</form>", "<form>of everybody</form>", "I, Ines Roy, agree"} {
		if !texts[want] {
			t.Errorf("the export lacks %q", want)
		}
	}
	all := strings.Join(out.order, "\n")
	for _, want := range []string{"203.0.113.77", `\u003cscript\u003ealert(1)`, `"reason":"granted"`, "+33 6 12 34 56 78", `"act":"api"`, `"source":"public"`} {
		if !strings.Contains(all, want) {
			t.Errorf("the records lack %s", want)
		}
	}
	for _, never := range []string{"bob", redact.Mask} {
		if strings.Contains(all+fmt.Sprint(out.files), never) {
			t.Errorf("the export holds %s", never)
		}
	}
	again := w.export(of(ines))
	if diff := cmp.Diff(out.order, again.order); diff != "" {
		t.Errorf("another order: %s", diff)
	}
	w.options.Chunk = 1
	chunked := w.export(of(ines))
	if diff := cmp.Diff(out.order, chunked.order); diff != "" {
		t.Errorf("in small chunks: %s", diff)
	}
	if diff := cmp.Diff(out.files, chunked.files); diff != "" {
		t.Errorf("in small chunks, files: %s", diff)
	}
}

// TestExport_single: who has planted an e-mail on a victim's subject gets that one
// event back.
func TestExport_single(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	victim := submission(consent.Private, "victim", bob, "true")
	victim.IP = "203.0.113.99"
	w.post(victim)
	w.say(consent.Public, "victim", ines, "false")
	w.project()
	out := w.export(of(ines))
	all := strings.Join(out.order, "\n")
	if len(out.order) != 1 || !strings.Contains(all, ines) || strings.Contains(all, bob) || strings.Contains(all, "203.0.113.99") {
		t.Errorf("%d records: %s", len(out.order), all)
	}
}

// endless is a ledger with a person of any number of events, none of which is
// stored.
type endless struct {
	hasher  *pseudonym.Hasher
	subject string
	events  int
}

func (e *endless) Page(_ context.Context, subject, after string, limit int) ([]consent.Row, string, error) {
	if subject != e.subject {
		return nil, "", nil
	}
	from := 0
	if after != "" {
		_, _ = fmt.Sscanf(after, "%d", &from)
	}
	var rows []consent.Row
	for i := from; i < min(from+limit, e.events); i++ {
		at := day0.Add(time.Duration(i) * time.Second)
		rows = append(rows, consent.Row{Sort: fmt.Sprintf("%09d", i+1), Form: consent.RowConsent, Said: at, Event: &consent.Event{
			ID: fmt.Sprintf("%09d", i), Kind: consent.KindConsent, Site: shop, Subject: subject, SubjectID: "crm-1", Source: consent.Public,
			Act: consent.WebForm, Claimed: at, Received: at, IP: "203.0.113.7",
			Preferences: []consent.Preference{{Key: "news", Value: "true"}, {Key: "partners", Value: "false"}},
			Proofs:      []consent.Proof{{HasContent: true, Content: redact.String(strings.Repeat("what was entered ", 20)), FormDigest: "d", FormNonce: "n"}},
		}})
	}
	next := ""
	if from+limit < e.events {
		next = rows[len(rows)-1].Sort
	}
	return rows, next, nil
}

func (e *endless) Get(context.Context, string, string) (*consent.Event, error) { return nil, nil }

// empty has no views, forms or documents; its texts are short.
type empty struct{ consent.ViewReader }

func (empty) View(context.Context, string) (*consent.SubjectView, error) { return nil, nil }
func (empty) Views(context.Context, []string) (map[string]*consent.SubjectView, error) {
	return nil, nil
}
func (empty) Search(context.Context, string, consent.Token, int) ([]consent.Entry, error) {
	return nil, nil
}
func (empty) Form(context.Context, string, string) (*consent.Form, error) { return nil, nil }

type texts struct{}

func (texts) Form(context.Context, string, string, string) ([]byte, error) {
	return []byte("<form>"), nil
}
func (texts) Content(context.Context, string, string, string) ([]byte, error) { return nil, nil }
func (texts) Notice(context.Context, string, string) ([]byte, error)          { return nil, nil }
func (texts) Document(context.Context, string, string, string) ([]byte, error) {
	return nil, nil
}

// discard counts what an export writes.
type discard struct {
	records int
	bytes   int64
	peak    uint64
}

func (d *discard) Record(_ string, v any) error {
	b, err := json.Marshal(v)
	d.bytes += int64(len(b))
	if d.records++; d.records%5000 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		d.peak = max(d.peak, m.HeapInuse)
	}
	return err
}

func (d *discard) File(_ context.Context, _, _ string, r io.Reader) error {
	n, err := io.Copy(io.Discard, r)
	d.bytes += n
	return err
}

// exportEndless locates and exports a person of so many events.
func exportEndless(t testing.TB, events int) (d *discard, idle uint64, took time.Duration) {
	t.Helper()
	hasher, err := pseudonym.New([]byte(strings.Repeat("k", pseudonym.MinSecret)))
	must(t, err)
	rows := &endless{hasher: hasher, subject: hasher.Subject(shop, "crm-1"), events: events}
	c := ledger.New(ledger.Options{Rows: rows, Views: empty{}, Forms: empty{}, Texts: texts{}, Hasher: hasher})
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	d, idle = &discard{}, m.HeapInuse
	start := time.Now()
	s := ledger.Identify(shop, "crm-1")
	f, err := c.Locate(t.Context(), s)
	must(t, err)
	if f.Counts["consents"] != events {
		t.Fatalf("located %v", f.Counts)
	}
	call := connector.Call{Request: "r", Operation: connector.Export, Subject: s, Out: d, Now: day0}
	for step := c.Start; ; step = c.Poll {
		p, err := step(t.Context(), call)
		must(t, err)
		if p.Done {
			break
		}
		if call.Handle = p.Handle; len(call.Handle) > 4096 {
			t.Fatalf("a handle of %d bytes", len(call.Handle))
		}
	}
	if d.records != events {
		t.Fatalf("%d records", d.records)
	}
	return d, idle, time.Since(start)
}

// TestExport_memory: however many events a person has, an export takes no more
// memory: at most 32 MB over idle. It runs alone, because the heap is everybody's.
func TestExport_memory(t *testing.T) {
	const goal = 32 << 20
	sizes := []int{1000, 100_000}
	if !testing.Short() {
		sizes = append(sizes, 1_000_000)
	}
	for _, events := range sizes {
		d, idle, took := exportEndless(t, events)
		over := int64(d.peak) - int64(idle)
		if over > goal {
			t.Errorf("%d events: %d bytes over idle, want at most %d", events, over, goal)
		}
		t.Logf("%d events: %.1f MB over idle, %.1f MB/s", events, float64(over)/(1<<20), float64(d.bytes)/(1<<20)/took.Seconds())
	}
}

func BenchmarkExport(b *testing.B) {
	for b.Loop() {
		d, _, _ := exportEndless(b, 10_000)
		b.SetBytes(d.bytes)
	}
}
