package project

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/redact"
)

// TestHandler_equalsFold: whoever posts what, and in whatever order the records
// arrive, how often, and on how many instances, in the end the views are what
// folding the ledger gives.
func TestHandler_equalsFold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		siteID := fmt.Sprintf("site-%d", round)
		seen := map[string]bool{}
		var waiting, delivered []string
		instance := w.start()
		give := func(records []string) {
			if failed := deliver(t, instance, records...); failed != nil {
				r.Fatalf("records %v failed", failed)
			}
		}
		draw := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(r, label) }
		for range rapid.IntRange(1, 10).Draw(r, "steps") {
			switch rapid.IntRange(0, 4).Draw(r, "step") {
			case 0: // the company's back end
				w.post(consent.Private, siteID, draw("id", "", "1", "2", "3"), draw("email", "", "a@x.test", "A@X.test", "b@x.test"), pref("n", draw("value", "true", "false", `"x"`)))
			case 1: // a web page
				w.post(consent.Public, siteID, draw("id", "", "1", "2"), draw("email", "", "a@x.test", "b@x.test", "nobody"), pref(draw("key", "n", "p"), draw("value", "true", "false")))
			case 2: // a statement about a subject
				s := &consent.SubjectStatement{SubjectID: redact.String(draw("id", "1", "2")), Profile: consent.Profile{FullName: &consent.Text{Value: redact.String(draw("name", "Ann Bee", "Inés", ""))}}}
				if email := draw("email", "", "b@x.test", "c@x.test"); email != "" {
					s.Profile.Email = &consent.Text{Value: redact.String(email)}
				}
				w.clock = w.clock.Add(time.Minute)
				if _, err := w.recorder.RecordSubject(t.Context(), consent.Policy{Site: siteID, Shards: 4, Backdate: time.Hour}, s); err != nil {
					r.Fatal(err)
				}
			case 3: // some records arrive
				for _, record := range w.inserts() {
					row, _, _ := strings.Cut(record, `"SequenceNumber"`)
					if !seen[row] {
						waiting, seen[row] = append(waiting, record), true
					}
				}
				waiting = rapid.Permutation(waiting).Draw(r, "order")
				n := rapid.IntRange(0, len(waiting)).Draw(r, "batch")
				give(waiting[:n])
				delivered = append(delivered, waiting[:n]...)
				waiting = waiting[n:]
			case 4: // others come again, and the instance starts anew
				if len(delivered) > 0 {
					give(rapid.SliceOfN(rapid.SampledFrom(delivered), 1, 5).Draw(r, "again"))
				}
				instance = w.start()
			}
		}
		give(rapid.Permutation(w.inserts()).Draw(r, "rest"))
		w.verify()
		if t.Failed() {
			r.FailNow()
		}
	})
}

// TestHandler_lastRecord: any single record of a person, coming last, completes
// all views of the person, whichever it is.
func TestHandler_lastRecord(t *testing.T) {
	t.Parallel()
	for last := range 4 {
		t.Run(fmt.Sprint(last), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.post(consent.Public, "s", "", "a@x.test", pref("n", "true"))
			w.post(consent.Private, "s", "1", "a@x.test", pref("n", "true")) // and a binding
			w.post(consent.Public, "s", "1", "", pref("n", "false"))
			records := w.inserts()
			if len(records) != 4 {
				t.Fatalf("%d rows", len(records))
			}
			h := w.start()
			deliver(t, h, records[last])
			views := w.verify()
			if len(views) != 2 {
				t.Errorf("%d views", len(views))
			}
			for _, v := range views {
				if v.Preferences(w.clock, consent.Rules{})[0].Granted {
					t.Errorf("%s: the withdrawal does not reach the subject", v.SubjectID.Reveal())
				}
			}
		})
	}
}

// TestHandler_onlyBound: a subject whose id is known from a binding alone.
func TestHandler_onlyBound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ack := w.post(consent.Public, "s", "", "a@x.test", pref("n", "true"))
	// The back end binds another subject, whose own event no record names.
	w.post(consent.Private, "s", "crm-1", "a@x.test", pref("n", "false"))
	var binding string
	for _, r := range w.inserts() {
		if strings.Contains(r, "~bind#") {
			binding = r
		}
	}
	if failed := deliver(t, w.start(), binding); failed != nil {
		t.Fatal(failed)
	}
	views := w.verify()
	for _, id := range []string{ack.SubjectID.Reveal(), "crm-1"} {
		v := views[w.hasher.Subject("s", id)]
		if v == nil || v.SubjectID.Reveal() != id || v.Preferences(w.clock, consent.Rules{})[0].Granted {
			t.Errorf("%s: %+v", id, v)
		}
	}
}

// TestHandler_duplicates: what changes nothing writes nothing and costs two
// reads.
func TestHandler_duplicates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.makeSite("s")
	form := redact.String("<form>")
	for range 3 {
		w.submit("s", &consent.Submission{Source: consent.Public, SubjectID: "1", Preferences: []consent.Preference{pref("n", "true")}, Proofs: []consent.ProofText{{Form: &form}}})
	}
	records := w.inserts()
	var count calls
	h := w.through(count.wrap)
	count.take()

	deliver(t, h, records...)
	if diff := cmp.Diff(map[string]int{"BatchGetItem": 1, "Query": 1, "PutItem": 1, "UpdateItem": 3}, count.take()); diff != "" {
		t.Errorf("three new records of one subject: %s", diff)
	}
	for name, again := range map[string][]string{"the same": records, "one of them": records[1:2], "backwards": {records[2], records[0]}} {
		deliver(t, h, again...)
		if diff := cmp.Diff(map[string]int{"BatchGetItem": 1, "Query": 1}, count.take()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	before := w.text("SUBJECTS_TABLE")
	h = w.through(count.wrap)
	deliver(t, h, records...)
	if diff := cmp.Diff(before, w.text("SUBJECTS_TABLE")); diff != "" {
		t.Errorf("another instance has written: %s", diff)
	}
	w.verify()
}

// TestHandler_poison: one row that nobody can read, and records that are none,
// keep nobody else waiting.
func TestHandler_poison(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.makeSite("s")
	w.post(consent.Public, "s", "1", "", pref("n", "true"))
	w.post(consent.Public, "s", "2", "", pref("n", "true"))
	good := w.inserts()
	poison := map[string]types.AttributeValue{
		"subject": &types.AttributeValueMemberS{Value: w.hasher.Subject("s", "3")}, "id": &types.AttributeValueMemberS{Value: w.hasher.ID(w.clock, "x")},
		"site": &types.AttributeValueMemberS{Value: "s"}, "kind": &types.AttributeValueMemberS{Value: "of another version"}, "email": &types.AttributeValueMemberS{Value: "ada@example.test"},
	}
	_, err := dynamodb.NewFromConfig(w.env.Config).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(w.env.Getenv("EVENTS_TABLE")), Item: poison})
	must(t, err)
	failed := deliver(t, w.start(),
		`{"eventID":"a","eventName":"INSERT","dynamodb":{"SequenceNumber":"11","Keys":{"subject":{"X":"ada@example.test"}}}}`,
		record(t, 12, "INSERT", nil, poison),
		good[0],
		`{"eventID":"b","eventName":"INSERT","dynamodb":{"SequenceNumber":"13","Keys":{"subject":{"N":"1"},"id":{"S":"x"}}}}`,
		good[1],
	)
	if diff := cmp.Diff([]string{"11", "12", "13"}, failed); diff != "" {
		t.Error(diff)
	}
	for _, id := range []string{"1", "2"} {
		if v, err := w.subjects.View(t.Context(), w.hasher.Subject("s", id)); v == nil || err != nil {
			t.Errorf("subject %s: %v, %v", id, v, err)
		}
	}
	if strings.Contains(w.log.text.String(), "ada@") {
		t.Errorf("the log quotes a row: %s", w.log.text.String())
	}
}

// TestHandler_throttled: what could not be done is reported, done on the next
// delivery, and logged without personal data.
func TestHandler_throttled(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"BatchGetItem", "Query", "PutItem", "TransactWriteItems", "UpdateItem"} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.makeSite("s")
			email := ""
			if operation == "TransactWriteItems" {
				email = "ada@example.test"
			}
			w.post(consent.Public, "s", "1", email, pref("n", "true"))
			records := w.inserts()
			var broken atomic.Bool
			h := w.through(func(next http.RoundTripper) http.RoundTripper {
				return roundTrip(func(r *http.Request) (*http.Response, error) {
					if broken.Load() && strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+operation) {
						return refuse(r, "ThrottlingException"), nil
					}
					return next.RoundTrip(r)
				})
			})
			broken.Store(true)
			if failed := deliver(t, h, records...); len(failed) != 1 {
				t.Errorf("failed: %v", failed)
			}
			broken.Store(false)
			if failed := deliver(t, h, records...); failed != nil {
				t.Errorf("failed: %v", failed)
			}
			w.verify()
		})
	}
}

func refuse(r *http.Request, code string) *http.Response {
	body := `{"__type":"com.amazonaws.dynamodb.v20120810#` + code + `","message":"ada@example.test"}`
	return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r}
}

// TestHandler_lostReplies: writes whose replies are lost, before or after they
// were applied, leave the views right.
func TestHandler_lostReplies(t *testing.T) {
	t.Parallel()
	for _, applied := range []bool{false, true} {
		t.Run(fmt.Sprint("applied ", applied), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.makeSite("s")
			var n atomic.Int64
			h := w.through(func(next http.RoundTripper) http.RoundTripper {
				return roundTrip(func(r *http.Request) (*http.Response, error) {
					if n.Add(1)%2 == 0 {
						return next.RoundTrip(r)
					}
					if applied {
						out, err := next.RoundTrip(r)
						if err != nil {
							return nil, err
						}
						_ = out.Body.Close()
					}
					return nil, errors.New("connection lost")
				})
			})
			for i := range 4 {
				w.post(consent.Private, "s", "1", fmt.Sprintf("a%d@x.test", i/2), pref("n", "true"))
				w.settle(h)
				w.verify()
			}
		})
	}
}

// TestHandler_tampered: a row that is changed or removed, and not by an erasure,
// is alarmed by one line without personal data, and the view follows the ledger.
func TestHandler_tampered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post(consent.Private, "s", "1", "ada@example.test", pref("n", "true"))
	w.post(consent.Private, "s", "2", "", pref("n", "true"))
	h := w.start()
	w.settle(h)
	db, table := dynamodb.NewFromConfig(w.env.Config), aws.String(w.env.Getenv("EVENTS_TABLE"))
	one, two := w.hasher.Subject("s", "1"), w.hasher.Subject("s", "2")
	var of1, of2 map[string]types.AttributeValue
	for _, row := range w.rows("EVENTS_TABLE") {
		switch row["subject"].(*types.AttributeValueMemberS).Value {
		case one:
			of1 = row
		case two:
			of2 = row
		}
	}

	changed := clone(of1)
	changed["preferences"] = &types.AttributeValueMemberS{Value: `[{"k":"n","v":false}]`}
	_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table, Item: changed})
	must(t, err)
	hidden := clone(of1) // an erased_at beside what was there is no erasure
	hidden["erased_at"] = &types.AttributeValueMemberN{Value: "1"}
	tombstone := map[string]types.AttributeValue{"subject": of1["subject"], "id": of1["id"], "erased_at": &types.AttributeValueMemberN{Value: "1780000000000"}}

	for i, tt := range []struct {
		name          string
		before, after map[string]types.AttributeValue
		alarms        int
	}{
		{"MODIFY", of1, changed, 1},
		{"MODIFY", changed, hidden, 1},
		{"REMOVE", of1, nil, 1},
		{"REMOVE", tombstone, nil, 1},
		{"MODIFY", of1, tombstone, 0},
		{"INSERT", nil, of1, 0},
	} {
		before := len(w.log.lines("ledger_changed"))
		if failed := deliver(t, h, record(t, i+1, tt.name, tt.before, tt.after)); failed != nil {
			t.Errorf("%d failed", i)
		}
		if got := len(w.log.lines("ledger_changed")) - before; got != tt.alarms {
			t.Errorf("%d, %s: %d alarms, want %d", i, tt.name, got, tt.alarms)
		}
	}
	for _, line := range w.log.lines("ledger_changed") {
		if !strings.Contains(line, `"level":"ERROR"`) || !strings.Contains(line, one) || strings.Contains(line, "ada@") || strings.Contains(line, `"1"`) {
			t.Errorf("the line: %s", line)
		}
	}
	w.verify()

	_, err = db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: table, Key: map[string]types.AttributeValue{"subject": of2["subject"], "id": of2["id"]}})
	must(t, err)
	deliver(t, h, record(t, 9, "REMOVE", of2, nil))
	if views := w.verify(); views[two] != nil {
		t.Error("the view of a subject without events is still there")
	}
}

func clone(row map[string]types.AttributeValue) map[string]types.AttributeValue {
	out := map[string]types.AttributeValue{}
	for k, v := range row {
		out[k] = v
	}
	return out
}

// TestHandler_erasure: tombstones take a person's events out of every view that
// held them, and a binding that is erased parts two subjects.
func TestHandler_erasure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post(consent.Private, "s", "1", "ada@example.test", pref("n", "false"))
	w.post(consent.Private, "s", "2", "ada@example.test", pref("p", "true"))
	h := w.start()
	w.settle(h)
	two := w.hasher.Subject("s", "2")
	if v := w.verify()[two]; len(v.Preferences(w.clock, consent.Rules{})) != 2 || len(v.Members) != 2 {
		t.Fatalf("before: %+v", v)
	}
	one := w.hasher.Subject("s", "1")
	var records []string
	for i, row := range w.rows("EVENTS_TABLE") {
		key := row["subject"].(*types.AttributeValueMemberS).Value + row["id"].(*types.AttributeValueMemberS).Value
		if !strings.HasPrefix(key, one) && !strings.HasSuffix(key, "~bind#"+one) {
			continue
		}
		tombstone := map[string]types.AttributeValue{"subject": row["subject"], "id": row["id"], "erased_at": &types.AttributeValueMemberN{Value: "1780000000000"}}
		_, err := dynamodb.NewFromConfig(w.env.Config).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(w.env.Getenv("EVENTS_TABLE")), Item: tombstone})
		must(t, err)
		records = append(records, record(t, i+1, "MODIFY", row, tombstone))
	}
	if len(records) != 2 {
		t.Fatalf("%d tombstones", len(records))
	}
	if failed := deliver(t, h, records[0]); failed != nil { // one is enough: all rows are erased by now
		t.Fatal(failed)
	}
	views := w.verify()
	if views[one] != nil || len(views[two].Answers) != 1 {
		t.Errorf("after: %+v", views)
	}
	if n := len(w.log.lines("ledger_changed")); n != 0 {
		t.Errorf("%d alarms", n)
	}
}

// TestHandler_unbound: when the last that joins a subject to a person is its
// binding, erasing that parts them, though nothing leads back to the subject.
func TestHandler_unbound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.post(consent.Private, "s", "1", "ada@example.test", pref("n", "false"))
	w.post(consent.Private, "s", "1", "", pref("m", "true"))
	w.post(consent.Private, "s", "2", "ada@example.test", pref("p", "true"))
	h := w.start()
	w.settle(h)
	one := w.hasher.Subject("s", "1")
	erase := func(suffix string) {
		for i, row := range w.rows("EVENTS_TABLE") {
			if !strings.HasSuffix(row["id"].(*types.AttributeValueMemberS).Value, suffix) {
				continue
			}
			tombstone := map[string]types.AttributeValue{"subject": row["subject"], "id": row["id"], "erased_at": &types.AttributeValueMemberN{Value: "1780000000000"}}
			_, err := dynamodb.NewFromConfig(w.env.Config).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(w.env.Getenv("EVENTS_TABLE")), Item: tombstone})
			must(t, err)
			if failed := deliver(t, h, record(t, i+1, "MODIFY", row, tombstone)); failed != nil {
				t.Fatal(failed)
			}
		}
		w.verify()
	}
	erase(first.ID)
	erase("~bind#" + one)
	if v := w.verify()[one]; len(v.Answers) != 1 || v.Members != nil {
		t.Errorf("%+v", v)
	}
}

// TestProject_racing: instances that fold one person at the same time, while
// events arrive, lose nothing.
func TestProject_racing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := []lambda.Handler{w.start(), w.start(), w.start()}
	for round := range 3 {
		w.post(consent.Private, "s", "1", fmt.Sprintf("r%d@x.test", round), pref("n", "true"))
		w.post(consent.Public, "s", "2", "", pref("n", "true"))
		w.post(consent.Private, "s", "2", fmt.Sprintf("r%d@x.test", round), pref("n", "false"))
		records := w.inserts()
		var wait sync.WaitGroup
		for i := range 6 {
			wait.Go(func() {
				mine := append(append([]string{}, records[i%len(records):]...), records[:i%len(records)]...)
				for range 4 { // Lambda delivers again what failed
					if deliver(t, h[i%len(h)], mine...) == nil {
						return
					}
				}
				t.Error("never done")
			})
		}
		wait.Wait()
		w.verify()
	}
}

// slow lets a test act in the middle of a projection: once the ledger has been
// read, and before a view is written.
type slow struct {
	Views
	Ledger
	read, write func()
}

func (s *slow) Partition(ctx context.Context, subject string, limit int) (consent.Rows, error) {
	rows, err := s.Ledger.Partition(ctx, subject, limit)
	once(&s.read)
	return rows, err
}

func (s *slow) Save(ctx context.Context, prior, next *consent.SubjectView) error {
	once(&s.write)
	return s.Views.Save(ctx, prior, next)
}

func once(f *func()) {
	if do := *f; do != nil {
		*f = nil
		do()
	}
}

// TestProject_overtaken: an instance that was overtaken after it had read the
// ledger folds again; what it read does not win.
func TestProject_overtaken(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"reading", "writing"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.projector()
			slow := &slow{Views: p.views, Ledger: p.ledger}
			p.views, p.ledger = slow, slow
			for i := range 3 { // new, changed, and with other search entries
				w.post(consent.Private, "s", "1", fmt.Sprintf("a%d@x.test", i/2), pref("n", "true"))
				overtake := func() {
					w.post(consent.Private, "s", "1", fmt.Sprintf("b%d@x.test", i), pref("n", "false"))
					w.settle(w.start())
				}
				if where == "reading" {
					slow.read = overtake
				} else {
					slow.write = overtake
				}
				if _, err := p.project(t.Context(), job{site: "s", changed: []string{w.hasher.Subject("s", "1")}}); err != nil {
					t.Fatal(err)
				}
				if slow.read != nil || slow.write != nil {
					t.Fatal("nobody has overtaken it")
				}
				w.verify()
			}
		})
	}
}

// TestProject_overtakenElsewhere: the views of partitions that are only met on
// the way must not be read after the ledger.
func TestProject_overtakenElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.projector()
	w.post(consent.Private, "s", "1", "a@x.test", pref("n", "true"))
	slow := &slow{Views: p.views, Ledger: p.ledger}
	p.ledger = slow
	mailbox, ok := w.people.EmailPartition("s", "a@x.test")
	if !ok {
		t.Fatal("no partition")
	}
	slow.read = func() { // the mailbox has been read
		slow.read = func() { // and the subject that is bound to it
			w.post(consent.Public, "s", "1", "", pref("n", "false"))
			w.settle(w.start())
		}
	}
	if _, err := p.project(t.Context(), job{site: "s", changed: []string{mailbox}}); err != nil {
		t.Fatal(err)
	}
	if v := w.verify()[w.hasher.Subject("s", "1")]; v.Preferences(w.clock, consent.Rules{})[0].Granted {
		t.Error("what was read before the withdrawal has won")
	}
}

// TestProject_alwaysOvertaken: it gives up, and the record is delivered again.
func TestProject_alwaysOvertaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post(consent.Public, "s", "1", "", pref("n", "true"))
	p := w.projector()
	p.views = loser{p.views}
	if _, err := p.project(t.Context(), job{site: "s", changed: []string{w.hasher.Subject("s", "1")}}); !errors.Is(err, errRacing) {
		t.Errorf("got %v", err)
	}
}

type loser struct{ Views }

func (loser) Save(context.Context, *consent.SubjectView, *consent.SubjectView) error {
	return consent.ErrViewChanged
}

// fullLedger reads a person as if their events were more than a read may take.
type fullLedger struct {
	Ledger
	full map[string]bool
	read int
}

func (l *fullLedger) Partition(ctx context.Context, subject string, limit int) (consent.Rows, error) {
	l.read++
	rows, err := l.Ledger.Partition(ctx, subject, limit)
	if l.full[subject] && err == nil {
		err = consent.ErrTooManyEvents
	}
	return rows, err
}

// TestProject_tooMany: everybody who belongs to the person answers no; new
// events cost no reading of what is too much; fewer events bring the answers
// back.
func TestProject_tooMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.projector()
	one, two := w.hasher.Subject("s", "1"), w.hasher.Subject("s", "2")
	ledger := &fullLedger{Ledger: p.ledger, full: map[string]bool{two: true}}
	p.ledger = ledger
	w.post(consent.Private, "s", "1", "a@x.test", pref("n", "true"))
	w.post(consent.Private, "s", "2", "a@x.test", pref("n", "true"))
	w.post(consent.Public, "s", "3", "", pref("n", "true"))
	for _, id := range []string{"1", "2", "3"} {
		if _, err := p.project(t.Context(), job{site: "s", changed: []string{w.hasher.Subject("s", id)}}); err != nil {
			t.Fatal(err)
		}
	}
	answers := func(id string) consent.State {
		v, err := w.subjects.View(t.Context(), w.hasher.Subject("s", id))
		must(t, err)
		return v.Preferences(w.clock, consent.Rules{})[0]
	}
	for _, id := range []string{"1", "2"} {
		if s := answers(id); s.Granted || s.Reason != consent.TooManyEvents {
			t.Errorf("subject %s: %+v", id, s)
		}
	}
	if s := answers("3"); !s.Granted {
		t.Errorf("another person: %+v", s)
	}
	if n := len(w.log.lines("too_many_events")); n != 2 {
		t.Errorf("%d alarms", n)
	}

	ledger.read = 0
	if _, err := p.project(t.Context(), job{site: "s", changed: []string{one}, grown: true}); err != nil || ledger.read != 0 {
		t.Errorf("a new event: %v, %d reads", err, ledger.read)
	}
	ledger.full = nil
	if _, err := p.project(t.Context(), job{site: "s", changed: []string{one}}); err != nil {
		t.Fatal(err)
	}
	w.verify()
	if s := answers("2"); !s.Granted {
		t.Errorf("after events were erased: %+v", s)
	}
}

// TestHandler_marks: forms, documents and months that events name are recorded.
func TestHandler_marks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.makeSite("s")
	form := redact.String("<form>")
	w.submit("s", &consent.Submission{Source: consent.Private, SubjectID: "1", Proofs: []consent.ProofText{{Form: &form}, {Form: &form}}, DocumentIDs: []string{"doc-1"}})
	old := time.Date(2025, 11, 5, 0, 0, 0, 0, time.UTC)
	w.submit("s", &consent.Submission{Source: consent.Private, SubjectID: "2", Timestamp: &old})
	_, err := dynamodb.NewFromConfig(w.env.Config).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(w.env.Getenv("DOCUMENTS_TABLE")), Item: map[string]types.AttributeValue{
		"site": &types.AttributeValueMemberS{Value: "s"}, "id": &types.AttributeValueMemberS{Value: "doc-1"},
	}})
	must(t, err)
	w.settle(w.start())
	for variable, flag := range map[string]string{"FORMS_TABLE": "stored", "DOCUMENTS_TABLE": "referenced"} {
		for _, row := range w.rows(variable) {
			if set, ok := row[flag].(*types.AttributeValueMemberBOOL); !ok || !set.Value {
				t.Errorf("%s: %v", variable, row[flag])
			}
		}
	}
	found, err := w.sites.Site(t.Context(), "s")
	must(t, err)
	if diff := cmp.Diff([]string{"2025-11", "2026-03"}, found.Months); diff != "" {
		t.Errorf("months: %s", diff)
	}
}

// TestHandler_environment: what is missing is named when the function starts.
func TestHandler_environment(t *testing.T) {
	w := newWorld(t)
	for _, missing := range []string{"EVENTS_TABLE", "SUBJECTS_TABLE", "FORMS_TABLE", "SITES_TABLE", "DOCUMENTS_TABLE", "PSEUDONYM_SECRET"} {
		_, err := Handler(t.Context(), func(name string) string {
			if name == missing {
				return ""
			}
			return w.env.Function("project")(name)
		})
		if err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
	h, err := Handler(t.Context(), w.env.Function("project"))
	must(t, err)
	if _, err := h.Invoke(t.Context(), []byte(`{}`)); err == nil {
		t.Error("something that is no batch was accepted")
	}
}
