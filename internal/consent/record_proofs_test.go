package consent_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
)

// readProofs reads back what an event says was entered and shown.
func (b *book) readProofs(t testing.TB, e *consent.Event) (contents, forms []string) {
	t.Helper()
	for _, p := range e.Proofs {
		if p.HasContent {
			content := []byte(p.Content.Reveal())
			if p.ContentDigest != "" {
				var err error
				if content, err = b.Proofs.Content(t.Context(), e.Subject, e.ID, p.ContentDigest); err != nil {
					t.Fatalf("reading a content: %v", err)
				}
			}
			if len(content) != p.ContentBytes {
				t.Errorf("content of %d bytes, want %d", len(content), p.ContentBytes)
			}
			contents = append(contents, string(content))
		}
		if p.FormDigest != "" {
			form, err := b.Proofs.Form(t.Context(), e.Site, p.FormDigest, p.FormNonce)
			if err != nil {
				t.Fatalf("reading a form: %v", err)
			}
			if len(form) != p.FormBytes {
				t.Errorf("form of %d bytes, want %d", len(form), p.FormBytes)
			}
			forms = append(forms, string(form))
		}
	}
	return contents, forms
}

// What was shown and entered comes back byte by byte, whatever it is and
// wherever it stands.
func TestRecord_proofsReadBack(t *testing.T) {
	t.Parallel()
	const inline = 4096 // what the template says
	b := newBook(t)
	for name, text := range map[string]string{
		"short": "x", "lines": "a\r\nb\n\n\tc ", "quotes": `{"a":"b\\"}`, "markup": `<form id="s">&amp;</form>`,
		"beyond ASCII": "é\u0301 😀 \u2028 \ufeff \u0001", "as large as inline": strings.Repeat("i", inline), "a byte larger": strings.Repeat("i", inline+1),
		"as large in bytes, not in letters": strings.Repeat("é", inline/2), "half a megabyte": strings.Repeat("0123456789abcde\n", 1<<15),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := submission(public, "proofs", "", "true")
			s.Proofs = proofs(text, text+name)
			e := b.event(t, b.mustRecord(t, s))
			contents, forms := b.readProofs(t, e)
			if diff := cmp.Diff([]string{text, text + name}, append(contents, forms...)); diff != "" {
				t.Errorf("(-posted +read):\n%s", diff)
			}
			digest := func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
			p := e.Proofs[0]
			if isLarge := len(text) > inline; (p.ContentDigest == digest(text)) != isLarge || (p.Content == "") != isLarge {
				t.Errorf("%d bytes: digest %q, inline %d", len(text), p.ContentDigest, len(p.Content))
			}
			if p.FormDigest != digest(text+name) {
				t.Errorf("the form's digest is %q", p.FormDigest)
			}
		})
	}
}

// Only content, only form, several, none.
func TestRecord_proofKinds(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	s := submission(private, "cust-1", "", "true")
	s.Proofs = append(proofs("only content", ""), append(proofs("", "<only form>"), append(proofs(large, "<both>"), proofs("again", "<only form>")...)...)...)
	contents, forms := b.readProofs(t, b.event(t, b.mustRecord(t, s)))
	if diff := cmp.Diff([]string{"only content", large, "again"}, contents); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"<only form>", "<both>", "<only form>"}, forms); diff != "" {
		t.Errorf("forms (-want +got):\n%s", diff)
	}
	if e := b.event(t, b.mustRecord(t, submission(private, "cust-1", "", "true"))); e.Proofs != nil {
		t.Errorf("%+v", e.Proofs)
	}
}

// Large content stands under the person's own prefix, so that erasure finds it.
func TestRecord_contentPrefix(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	s := submission(public, "", "q@x.test", "true")
	s.Proofs = proofs(large, "")
	ack := b.mustRecord(t, s)
	prefix := "content/" + b.Hasher.Subject("shop", ack.SubjectID.Reveal()) + "/" + ack.ID + "/"
	if list := b.objects(t); len(list) != 1 || !strings.HasPrefix(*list[0].Key, prefix) {
		t.Errorf("%d objects, want one under %s", len(list), prefix)
	}
}

// shown records that a subject was shown a form and returns what was asked of
// AWS and the event.
func (b *book) shown(t testing.TB, subject, form string) (map[string]int, *consent.Event) {
	t.Helper()
	b.net.Reset()
	s := submission(public, subject, "", "true")
	s.Proofs = proofs("", form)
	ack := b.mustRecord(t, s)
	counts := b.net.Counts()
	e := b.event(t, ack)
	if _, forms := b.readProofs(t, e); forms[0] != form {
		t.Errorf("the form reads back as %q", forms[0])
	}
	return counts, e
}

// What is asked of AWS for a form, from the first time that it is shown on.
func TestRecord_formsAndWhatTheyCost(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	forms := dynamo.NewForms(b.env.Config, b.env.Getenv("FORMS_TABLE"))
	const form = "<form>"
	var first *consent.Event
	want := func(step string, b *book, subject string, calls map[string]int) {
		t.Helper()
		counts, e := b.shown(t, subject, form)
		if diff := cmp.Diff(calls, counts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
		if first == nil {
			first = e
		}
		if e.Proofs[0].FormNonce != first.Proofs[0].FormNonce {
			t.Errorf("%s: another nonce", step)
		}
	}
	put := "dynamodb.PutItem"
	want("never seen", b, "s1", map[string]int{"dynamodb.UpdateItem": 1, "s3.PutObject": 1, put: 1})
	want("seen, shown to one", b, "s1", map[string]int{"dynamodb.UpdateItem": 1, put: 1})
	want("another instance, no event is known to name it", b.instance(t), "s1", map[string]int{"dynamodb.UpdateItem": 1, "s3.PutObject": 1, put: 1})
	p := first.Proofs[0]
	if err := forms.MarkStored(t.Context(), "shop", p.FormDigest, p.FormNonce); err != nil {
		t.Fatal(err)
	}
	third := b.instance(t)
	want("another instance, an event is known to name it", third, "s1", map[string]int{"dynamodb.UpdateItem": 1, put: 1})
	want("shown to a second person", third, "s2", map[string]int{"dynamodb.UpdateItem": 1, put: 1})
	want("known to be shared", third, "s3", map[string]int{put: 1})
	want("known to be shared, to the first person", third, "s1", map[string]int{put: 1})
	want("another instance does not know yet that it is shared", b.instance(t), "s4", map[string]int{"dynamodb.UpdateItem": 1, put: 1})
	b.clock.advance(time.Minute)
	want("after a minute it is asked again", third, "s5", map[string]int{"dynamodb.UpdateItem": 1, put: 1})
	want("once", third, "s6", map[string]int{put: 1})
}

// A form that went with the only person who was shown it comes back under
// another nonce, even on an instance that remembers the old one.
func TestRecord_formAfterErasure(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	_, old := b.shown(t, "s1", "<form>")
	p := old.Proofs[0]
	if _, err := dynamodb.NewFromConfig(b.env.Config).DeleteItem(t.Context(), &dynamodb.DeleteItemInput{
		TableName: aws.String(b.env.Getenv("FORMS_TABLE")),
		Key:       map[string]types.AttributeValue{"form": &types.AttributeValueMemberS{Value: "shop#" + p.FormDigest}},
	}); err != nil {
		t.Fatal(err)
	}
	b.deleteObjects(t)
	_, e := b.shown(t, "s2", "<form>")
	if e.Proofs[0].FormNonce == p.FormNonce {
		t.Error("the nonce of an erased form is used again")
	}
	// The late event of the erased form does not mark the new one as stored.
	forms := dynamo.NewForms(b.env.Config, b.env.Getenv("FORMS_TABLE"))
	if err := forms.MarkStored(t.Context(), "shop", p.FormDigest, p.FormNonce); err != nil {
		t.Fatal(err)
	}
	if state, err := forms.Show(t.Context(), "shop", p.FormDigest, e.Subject, "x"); err != nil || state.Stored {
		t.Errorf("%+v, %v", state, err)
	}
}

// Whoever is shown a new form at the same moment names the same object, and it
// is there.
func TestRecord_formRace(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	events := make([]*consent.Event, 24)
	instances := []*book{b.instance(t), b.instance(t), b.instance(t)}
	var wg sync.WaitGroup
	for i := range events {
		wg.Go(func() {
			s := submission(public, fmt.Sprintf("s%d", i), "", "true")
			s.Proofs = proofs("", "<form>")
			ack, err := instances[i%len(instances)].record(t.Context(), s)
			if err != nil {
				t.Error(err)
				return
			}
			events[i] = b.event(t, ack)
			b.readProofs(t, events[i]) // at once
		})
	}
	wg.Wait()
	for _, e := range events {
		if e == nil || e.Proofs[0].FormNonce != events[0].Proofs[0].FormNonce {
			t.Fatal("two nonces")
		}
	}
}

// A conflicting request may leave a form and an object that no event names; the
// ledger is as it was.
func TestRecord_conflictWithOtherProofs(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	s := submission(public, "cust-1", "", "true")
	s.IdempotencyKey = b.key(0)
	s.Proofs = proofs(large, "<form>")
	first := b.mustRecord(t, s)
	before := scan(t, b.env, "EVENTS_TABLE")
	other := *s
	other.Proofs = proofs(large+"!", "<other form>")
	if _, err := b.record(t.Context(), &other); !errs.Is(err, errs.Conflict) {
		t.Errorf("%v, want a conflict", err)
	}
	if diff := cmp.Diff(before, scan(t, b.env, "EVENTS_TABLE")); diff != "" {
		t.Errorf("the ledger has changed:\n%s", diff)
	}
	contents, forms := b.readProofs(t, b.event(t, first))
	if contents[0] != large || forms[0] != "<form>" {
		t.Error("the first consent's proofs have changed")
	}
}

// Other costs of a consent than those of its form.
func TestRecord_calls(t *testing.T) {
	t.Parallel()
	put, object := "dynamodb.PutItem", "s3.PutObject"
	b := newBook(t)
	for name, tt := range map[string]struct {
		submission *consent.Submission
		calls      map[string]int
	}{
		"public":                  {submission(public, "", "q@x.test", "true"), map[string]int{put: 1}},
		"private":                 {submission(private, "cust-1", "", "true"), map[string]int{put: 1}},
		"small content":           {with(submission(public, "", "", "true"), "content"), map[string]int{put: 1}},
		"large content":           {with(submission(public, "", "", "true"), large), map[string]int{put: 1, object: 1}},
		"private, unseen binding": {submission(private, "cust-2", "a@x.test", "true"), map[string]int{put: 2}},
		"private, no address":     {submission(private, "cust-3", "not one", "true"), map[string]int{put: 1}},
		"private, e-mail alone":   {submission(private, "", "b@x.test", "true"), map[string]int{put: 1}},
		"public, id and e-mail":   {submission(public, "cust-4", "c@x.test", "true"), map[string]int{put: 1}},
	} {
		instance := b.instance(t)
		instance.mustRecord(t, tt.submission)
		if diff := cmp.Diff(tt.calls, instance.net.Counts()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}

	// A binding that this instance has made is not made again for ten seconds.
	for _, step := range []struct {
		wait time.Duration
		puts int
	}{{0, 2}, {0, 1}, {9 * time.Second, 1}, {time.Second, 2}} {
		b.clock.advance(step.wait)
		b.net.Reset()
		b.mustRecord(t, submission(private, "cust-5", "d@x.test", "true"))
		if got := b.net.Counts()[put]; got != step.puts {
			t.Errorf("%d calls after %v, want %d", got, step.wait, step.puts)
		}
	}
}

func with(s *consent.Submission, content string) *consent.Submission {
	s.Proofs = proofs(content, "")
	return s
}

// Whatever the table holds, a consent takes the same calls, bytes and units.
func TestRecord_costDoesNotGrow(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.net.Capacity = true
	cost := func() (bytesSent int, units float64, counts map[string]int) {
		b.net.Reset()
		s := with(submission(private, "cust-1", "q@x.test", "true"), "content")
		s.IdempotencyKey = b.key(0)
		b.mustRecord(t, s)
		for _, c := range b.net.Calls() {
			bytesSent += len(c.Body)
			units += c.Consumed.Total()
		}
		return bytesSent, units, b.net.Counts()
	}
	cost() // the binding
	bytesOne, unitsOne, callsOne := cost()
	for range 200 {
		b.mustRecord(t, submission(public, "cust-1", "q@x.test", "false"))
	}
	bytesMany, unitsMany, callsMany := cost()
	if bytesOne != bytesMany || unitsOne != unitsMany || !cmp.Equal(callsOne, callsMany) {
		t.Errorf("%d bytes, %v units, %v in an empty ledger; %d, %v, %v later", bytesOne, unitsOne, callsOne, bytesMany, unitsMany, callsMany)
	}
	if unitsOne == 0 || bytesOne == 0 {
		t.Errorf("%v units, %d bytes: nothing was measured", unitsOne, bytesOne)
	}
}

// S3 answers 409 when two write one key at the same moment: that passes.
func TestRecord_objectConflict(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		script faulty.Script
		stored bool
	}{
		"twice": {func(c faulty.Call) faulty.Fault {
			return only(c.Operation == "s3.PutObject" && c.Nth <= 2, faulty.Conflict)
		}, true},
		"every time": {faulty.Every("s3.PutObject", faulty.Conflict), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			b.net.Break(tt.script)
			s := with(submission(public, "cust-1", "", "true"), large)
			s.IdempotencyKey = b.key(0)
			ack, err := b.record(t.Context(), s)
			if tt.stored {
				if err != nil {
					t.Fatal(err)
				}
				if contents, _ := b.readProofs(t, b.event(t, ack)); contents[0] != large {
					t.Error("other content")
				}
				return
			}
			if !errs.Is(err, errs.Unavailable) || b.events(t) != 0 {
				t.Errorf("%v, %d rows; want unavailable and none", err, b.events(t))
			}
		})
	}
}

func only(when bool, f faulty.Fault) faulty.Fault {
	if when {
		return f
	}
	return faulty.None
}

// An item beyond the limit is refused and names the limit.
func TestRecord_itemTooLarge(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	s := submission(public, "cust-1", "", "true")
	// Each is within the limits of its own; control characters take six bytes in the stored JSON.
	for range consent.MaxProofs {
		s.Proofs = append(s.Proofs, proofs(string(bytes.Repeat([]byte{1}, 4096)), "")...)
	}
	_, err := b.record(t.Context(), s)
	if !errs.Is(err, errs.TooLarge) || !strings.Contains(err.Error(), fmt.Sprint(consent.MaxItem)) {
		t.Errorf("%v, want too large", err)
	}
	if n := b.events(t); n != 0 {
		t.Errorf("%d rows", n)
	}
}
