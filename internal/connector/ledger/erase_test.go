package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/ledger"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// large is a content that does not stand in the event.
var large = "what ines entered: " + strings.Repeat("x", 200)

// inhabit gives the ledger a person, ines, with everything that a person can
// have, and another one, bob.
func (w *world) inhabit() (retry *consent.Submission, document *consent.Document) {
	w.t.Helper()
	archive := consent.Archive{Documents: w.docs, Bytes: w.proofs, Hasher: w.hasher, Now: w.now, NewID: w.newID}
	keep := func(name, body string) *consent.Document {
		d, err := archive.Keep(w.t.Context(), consent.Policy{Site: shop, Backdate: time.Hour}, "", consent.File{Name: name, MimeType: "text/plain", Body: []byte(body)})
		must(w.t, err)
		return d
	}
	signed, contract := keep("signed by Ines Roy.txt", "I, Ines Roy, agree"), keep("contract.txt", "the contract of everybody")

	retry = submission(consent.Private, "crm-ines", ines, "true")
	retry.IdempotencyKey = w.newID(w.now())
	retry.Profile.FullName = &consent.Text{Value: "Ines Roy"}
	retry.Profile.Phones = &consent.Phones{List: []consent.Phone{{Number: "+33 6 12 34 56 78"}}}
	retry.IP = "203.0.113.77"
	retry.DocumentIDs = []string{signed.ID, contract.ID}
	retry.Proofs = append(proof(large, "<form>for Ines alone</form>"), proof("small by ines", "<form>of everybody</form>")...)
	w.post(retry)
	w.say(consent.Public, "", "INES@example.test", "false")
	w.post(&consent.Submission{Source: consent.Public, SubjectID: "crm-ines", Proofs: proof("", "<form>mail to ines&#64;example.test</form>")})

	other := submission(consent.Private, "crm-bob", bob, "true")
	other.DocumentIDs = []string{contract.ID}
	other.Proofs = append(proof(strings.ReplaceAll(large, "ines", "bob"), "<form>of everybody</form>"), proof("", "<form>mail to ines&#64;example.test</form>")...)
	w.post(other)
	_, err := w.recorder.RecordSubject(w.t.Context(), consent.Policy{Site: shop, Backdate: time.Hour}, &consent.SubjectStatement{
		SubjectID: "crm-ines", Profile: consent.Profile{FirstName: &consent.Text{Value: "Ines"}},
	})
	must(w.t, err)
	w.project()
	return retry, signed
}

// planted are ines's traces. A keyed hash may hold any few letters by chance.
var planted = []string{"ines@", "ines roy", "crm-ines", "for ines", "by ines", "ines entered", "ines&#64;", "612345678", "6 12 34 56 78", "203.0.113.77"}

// TestErase: nothing of the person is left anywhere, and everything of others is.
func TestErase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.inhabit()
	before := w.decide("crm-bob", "", "news")
	_, call, p := w.erase(of(ines))
	if diff := cmp.Diff(map[string]int{"consents": 3, "statements": 1, "bindings": 1}, p.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if len(p.Kept) != 1 || !strings.Contains(p.Kept[0].What, "documents that other people's") {
		t.Errorf("kept: %+v", p.Kept)
	}
	if r := w.verify(call); r.Wait == 0 {
		t.Errorf("the projection has not followed, but nothing waits for it: %+v", r)
	}
	w.project()
	w.wantGone(planted...)
	if r := w.verify(call); len(r.Counts) != 0 || r.Wait != 0 {
		t.Errorf("residue %v", r.Counts)
	}
	for _, row := range w.rows("EVENTS_TABLE") {
		if row["erased_at"] != nil && len(row) != 4 {
			t.Errorf("a tombstone with %d fields", len(row))
		}
	}
	objects := w.objects()
	if len(objects) != 3 { // bob's content, the form of everybody, the contract
		t.Errorf("%d objects are left", len(objects))
	}
	if diff := cmp.Diff(before, w.decide("crm-bob", "", "news")); diff != "" {
		t.Errorf("bob's answer has changed: %s", diff)
	}
	if s := w.decide("crm-ines", "", "news"); s.Granted || s.Reason != consent.NeverAsked {
		t.Errorf("after the erasure: %+v", s)
	}
}

// TestErase_single: of a stranger's subject only the events go that state the
// e-mail.
func TestErase_single(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.say(consent.Private, "victim", bob, "true")
	w.say(consent.Public, "victim", ines, "false")
	w.say(consent.Public, "victim", "", "true")
	w.project()
	_, call, p := w.erase(of(ines))
	w.project()
	if diff := cmp.Diff(map[string]int{"consents": 1}, p.Counts); diff != "" {
		t.Error(diff)
	}
	w.wantGone("ines")
	if r := w.verify(call); len(r.Counts) != 0 || r.Wait != 0 {
		t.Errorf("residue %+v", r)
	}
	if s := w.decide("victim", "", "news"); !s.Granted {
		t.Errorf("the victim's own consent: %+v", s)
	}
}

// TestErase_lateRetry: a repetition of an old request after the erasure gets its
// answer and stores nothing that stays.
func TestErase_lateRetry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	retry, _ := w.inhabit()
	s, call, _ := w.erase(of(ines))
	w.project()
	w.advance(time.Hour)
	again := w.record()
	ack, err := again.Record(t.Context(), consent.Policy{Site: shop, Shards: 2, Backdate: 30 * 24 * time.Hour}, retry)
	must(t, err)
	if ack.SubjectID != "crm-ines" {
		t.Errorf("the answer: %+v", ack)
	}
	if !holds(w, "what ines entered") || !holds(w, "for Ines alone") {
		t.Fatal("the retry has put nothing: the test is about what it puts")
	}
	w.project()
	if r := w.verify(call); len(r.Counts) != 0 || len(r.Evidence) != 2 {
		t.Errorf("residue %+v", r)
	}
	w.wantGone(planted...)
	if _, f := w.locate(s); len(f.Counts) != 0 {
		t.Errorf("found again: %v", f.Counts)
	}
}

func holds(w *world, text string) bool {
	for _, body := range w.objects() {
		if strings.Contains(body, text) {
			return true
		}
	}
	return false
}

// TestErase_freshConsent: what the person says after the erasure counts, under id
// and e-mail, and no later look or repetition touches it.
func TestErase_freshConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.inhabit()
	s, call, _ := w.erase(of(ines))
	w.project()
	w.advance(24 * time.Hour)
	w.recorder = w.record() // another instance: none remembers the binding
	fresh := submission(consent.Private, "crm-ines", ines, "true")
	fresh.Proofs = proof(large, "<form>for Ines alone</form>")
	ack := w.post(fresh)
	w.project()
	for _, door := range []consent.State{w.decide("crm-ines", "", "news"), w.decide("", ines, "news")} {
		if !door.Granted || door.ConsentIDs[0] != ack.ID {
			t.Errorf("the fresh consent does not count: %+v", door)
		}
	}
	for range 2 {
		if r := w.verify(call); len(r.Counts) != 0 || r.Wait != 0 {
			t.Errorf("residue %+v", r)
		}
		w.run(call) // an operator has the same erasure repeated
	}
	e, err := w.events.Get(t.Context(), w.partition("crm-ines"), ack.ID)
	if must(t, err); e == nil || e.ErasedAt != nil {
		t.Fatal("the fresh consent is erased")
	}
	if _, err := w.proofs.Form(t.Context(), shop, e.Proofs[0].FormDigest, e.Proofs[0].FormNonce); err != nil {
		t.Errorf("its form: %v", err)
	}
	if _, err := w.proofs.Content(t.Context(), e.Subject, e.ID, e.Proofs[0].ContentDigest); err != nil {
		t.Errorf("its content: %v", err)
	}
	w.say(consent.Private, "crm-ines", ines, "false")
	if d := w.decide("", ines, "news"); d.Granted {
		t.Error("a withdrawal by id does not reach the e-mail")
	}
	// The next request erases that as well.
	_, call, p := w.erase(s)
	w.project()
	if r := w.verify(call); len(r.Counts) != 0 || p.Counts["consents"] != 2 || p.Counts["bindings"] != 1 {
		t.Errorf("the second erasure: %v, residue %v", p.Counts, r.Counts)
	}
	w.wantGone(planted...)
}

// TestReapply: what a restored backup or a late import brings back is erased
// again, and nothing else is.
func TestReapply(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.inhabit()
	backup := w.rows("EVENTS_TABLE")
	w.erase(of(ines))
	w.project()
	erased := w.everything()
	for _, row := range backup {
		w.put("EVENTS_TABLE", row)
	}
	w.advance(time.Hour)
	c := w.connector()
	total := 0
	reapply := func(dry bool) {
		total = 0
		must(t, w.events.Walk(t.Context(), func(site, subject string) error {
			n, err := c.Reapply(t.Context(), site, subject, dry)
			total += n
			return err
		}))
	}
	reapply(true)
	if len(w.rows("EVENTS_TABLE")) != len(backup) || total == 0 {
		t.Errorf("a dry run: %d rows", total)
	}
	reapply(false)
	w.project()
	if diff := cmp.Diff(erased, w.everything()); diff != "" {
		t.Errorf("after the restored backup: %s", diff)
	}
	if reapply(false); total != 0 {
		t.Errorf("once more: %d rows", total)
	}
}

// TestVerify_keepsHouse: a look at one person's erasure erases what is back of
// another.
func TestVerify_keepsHouse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.inhabit()
	w.erase(of(ines))
	before := w.now().Add(-24 * time.Hour)
	late := submission(consent.Private, "crm-ines", ines, "true")
	late.Act, late.Timestamp = consent.Import, &before
	w.post(late)
	must(t, w.erasures.Revive(t.Context(), shop, w.partition("crm-ines")))
	_, call, _ := w.erase(of(bob))
	w.project()
	if r := w.verify(call); len(r.Counts) != 0 {
		t.Errorf("residue %v", r.Counts)
	}
	w.project()
	w.wantGone(append(planted, "bob@", "crm-bob")...)
	if left, err := w.erasures.Revivals(t.Context()); len(left) != 0 || err != nil {
		t.Errorf("%v, %v", left, err)
	}
	// A fresh consent between two late ones stays, and stays bound.
	w.recorder = w.record()
	late.Timestamp = new(before.Add(-time.Minute))
	w.post(late)
	w.say(consent.Private, "crm-ines", ines, "true")
	must(t, w.erasures.Revive(t.Context(), shop, w.partition("crm-ines")))
	n, err := w.connector().EraseRevived(t.Context())
	if must(t, err); n != 1 {
		t.Errorf("%d partitions", n)
	}
	for door, d := range []consent.State{w.decide("crm-ines", "", "news"), w.decide("", ines, "news")} {
		if !d.Granted || len(d.ConsentIDs) != 1 {
			t.Errorf("door %d: %+v", door, d)
		}
	}
}

// TestErase_proofKept: where the policy says so, a proof stays apart until its
// day and goes then.
func TestErase_proofKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.inhabit()
	w.options.Policy.ProofKept = time.Hour // the floor is 30 days
	_, call, p := w.erase(of(ines))
	w.project()
	until := ""
	for _, k := range p.Kept {
		if k.What == "proofs of consent" {
			until = k.Until
		}
	}
	if want := w.now().Add(30 * 24 * time.Hour).Format(time.DateOnly); until != want {
		t.Errorf("kept until %q, want %q", until, want)
	}
	if r := w.verify(call); len(r.Counts) != 0 {
		t.Errorf("residue %v", r.Counts)
	}
	kept := 0
	for key, body := range w.objects() {
		if strings.HasPrefix(key, "kept/") {
			kept++
			if strings.Contains(body, "Roy") || strings.Contains(body, "203.0.113.77") || strings.Contains(body, "612345678") {
				t.Errorf("a kept proof holds more than it needs: %s", body)
			}
		} else if strings.Contains(strings.ToLower(body), "ines") {
			t.Errorf("%s is left", key)
		}
	}
	if kept != 3 {
		t.Errorf("%d proofs are kept", kept)
	}
	for _, tt := range []struct {
		after time.Duration
		want  int
	}{{29 * 24 * time.Hour, 0}, {3 * 24 * time.Hour, 3}, {0, 0}} {
		w.advance(tt.after)
		dry, err := w.connector().Expire(t.Context(), true)
		must(t, err)
		n, err := w.connector().Expire(t.Context(), false)
		if must(t, err); n != tt.want || dry != tt.want {
			t.Errorf("%d and %d have expired, want %d", dry, n, tt.want)
		}
	}
	w.wantGone(planted...)
}

// TestErase_sharedForms: a form that others were shown, too, goes only where the
// person's own address stands in it.
func TestErase_sharedForms(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		form string
		goes bool
		kept int
	}{
		"nothing of the person": {"<form>newsletter</form>", false, 0},
		"e-mail":                {"<input value='Ines@Example.test'>", true, 0},
		"e-mail in a link":      {"<a href='/?mail=ines%40example.test'>", true, 0},
		"phone":                 {"call +33 (6) 12-34-56-78", true, 0},
		"a name":                {"Dear Ines  Roy", false, 0},
		"the name":              {"Dear Ines Roy,", false, 1},
		"the company's own":     {"write to dpo@example.test", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.options.Own = []redact.String{"DPO@example.test"}
			for _, who := range []string{"crm-ines", "crm-bob"} {
				s := submission(consent.Private, who, strings.TrimPrefix(who, "crm-")+"@example.test", "true")
				s.Profile.FullName = &consent.Text{Value: "Ines Roy"}
				s.Profile.Phones = &consent.Phones{List: []consent.Phone{{Number: "+33612345678"}}}
				s.Proofs = proof("", tt.form)
				w.post(s)
			}
			w.say(consent.Private, "crm-ines", "dpo@example.test", "true")
			w.project()
			_, _, p := w.erase(of(ines))
			if left := len(w.objects()); (left == 0) != tt.goes || len(p.Kept) != tt.kept {
				t.Errorf("%d forms are left, kept %+v", left, p.Kept)
			}
		})
	}
}

// TestErase_crash: a run that dies at any of its calls, before or after the call
// was applied, and is begun again, ends like one that did not.
func TestErase_crash(t *testing.T) {
	t.Parallel()
	calls, want := crashed(t, 0, false)
	if calls < 30 {
		t.Fatalf("%d calls", calls)
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	schedules := 0
	for n := 1; n <= calls; n += step {
		for _, applied := range []bool{false, true} {
			schedules++
			t.Run(fmt.Sprint(n, " ", applied), func(t *testing.T) {
				t.Parallel()
				if _, got := crashed(t, n, applied); !cmp.Equal(want, got) {
					t.Errorf("another end:\n%s", cmp.Diff(want, got))
				}
			})
		}
	}
	t.Logf("%d schedules of %d calls", schedules, calls)
}

// crashed erases ines; at the n-th call of all the process dies: that call is
// applied or not, and no other one gets through until the run begins again. The
// end is told without what differs between worlds.
func crashed(t *testing.T, n int, applied bool) (calls int, end map[string]int) {
	t.Helper()
	w := newWorld(t)
	w.options.Chunk = 3
	w.inhabit()
	s, _ := w.locate(of(ines))
	w.advance(time.Hour)
	call := w.call(connector.Erase, s)
	died := false
	w.net.Break(func(faulty.Call) faulty.Fault {
		calls++
		switch {
		case died || n == 0 || calls < n:
			if died && n > 0 {
				return faulty.Refused
			}
			return faulty.None
		case applied:
			died = true
			return faulty.Lost
		}
		died = true
		return faulty.Refused
	})
	c := w.connector()
	counts := map[string]int{}
	kept := map[string]bool{}
	step, started := c.Start, false
	for range 200 {
		p, err := step(t.Context(), call)
		if err != nil {
			if !died {
				t.Fatal(err)
			}
			if !errs.Is(err, errs.Unavailable) {
				t.Errorf("the crash is told as %v", err)
			}
			w.net.Reset()
			call.Now = call.Now.Add(time.Minute)
			continue
		}
		for k, n := range p.Counts {
			counts[k] += n
		}
		for _, k := range p.Kept {
			kept[k.What] = true
		}
		call.Handle, step, started = p.Handle, c.Poll, true
		if p.Done {
			break
		}
	}
	if !started {
		t.Fatal("never started")
	}
	w.net.Reset()
	w.project()
	w.wantGone(planted...)
	if r := w.verify(call); len(r.Counts) != 0 || r.Wait != 0 {
		t.Errorf("residue %+v", r)
	}
	end = map[string]int{"objects": len(w.objects()), "kept": len(kept)}
	for k, n := range counts {
		end["counted "+k] = n
	}
	for _, table := range []string{"EVENTS_TABLE", "SUBJECTS_TABLE", "FORMS_TABLE", "DOCUMENTS_TABLE", "ERASURES_TABLE"} {
		end[table] = len(w.rows(table))
	}
	return calls, end
}

// TestErase_unreadable: a row that this version cannot read is erased like the
// others.
func TestErase_unreadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ack := w.say(consent.Private, "crm-ines", ines, "true")
	s, _ := w.locate(of(ines))
	w.put("EVENTS_TABLE", map[string]types.AttributeValue{
		"subject": &types.AttributeValueMemberS{Value: w.partition("crm-ines")}, "id": &types.AttributeValueMemberS{Value: ack.ID},
		"site": &types.AttributeValueMemberS{Value: shop}, "kind": &types.AttributeValueMemberS{Value: "of another version"}, "mail": &types.AttributeValueMemberS{Value: ines},
	})
	w.run(w.call(connector.Erase, s))
	for _, row := range w.rows("EVENTS_TABLE") {
		if row["erased_at"] == nil {
			t.Errorf("%d fields are left", len(row))
		}
	}
}

// TestErase_rights: without the right to remove, nothing is erased.
func TestErase_rights(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.say(consent.Private, "crm-ines", ines, "true")
	w.options.Removal = nil
	c := w.connector()
	call := w.call(connector.Erase, of(ines))
	call.Handle = `{"t":[]}`
	for name, f := range map[string]func(context.Context, connector.Call) (connector.Progress, error){"start": c.Start, "poll": c.Poll} {
		if _, err := f(t.Context(), call); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := c.Verify(t.Context(), call); err == nil {
		t.Error("verify: no error")
	}
}

// TestRetention lists whose latest event is older than a day, never younger than
// the floor, and deletes nothing.
func TestRetention(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.say(consent.Public, "old", "", "true")
	w.say(consent.Public, "active", "", "true")
	w.advance(2 * 365 * 24 * time.Hour)
	day := w.now().Add(-400 * 24 * time.Hour)
	w.say(consent.Public, "active", "", "true")
	w.project()
	before := w.everything()
	var got []string
	var from *consent.Position
	for {
		list, next, err := w.connector().Retention(t.Context(), shop, day, from, 1)
		must(t, err)
		for _, r := range list {
			got = append(got, r.SubjectID.Reveal())
		}
		if from = next; next == nil {
			break
		}
	}
	if diff := cmp.Diff([]string{"old"}, got); diff != "" {
		t.Error(diff)
	}
	if _, _, err := w.connector().Retention(t.Context(), shop, w.now().Add(-364*24*time.Hour), nil, 10); !errs.Is(err, errs.Invalid) {
		t.Errorf("below the floor: %v", err)
	}
	if diff := cmp.Diff(before, w.everything()); diff != "" {
		t.Errorf("the report has changed something: %s", diff)
	}
	w.run(w.call(connector.Erase, ledger.Identify(shop, "old")))
	if _, f := w.locate(ledger.Identify(shop, "old")); len(f.Counts) != 0 {
		t.Errorf("%v", f.Counts)
	}
	if _, f := w.locate(of("", id(identity.SubjectID, "active"))); f.Counts["consents"] != 2 {
		t.Errorf("%v", f.Counts)
	}
}

// TestRetire erases who lapsed, with all that a request would, and nobody who is
// active under another subject, restricted, or has a request open.
func TestRetire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.Policy.ProofKept = 40 * 24 * time.Hour
	const mail, other = "ines@shop.example", "rita@shop.example"
	w.say(consent.Private, "lapsed", mail, "true")
	w.say(consent.Public, "", mail, "true")
	w.say(consent.Private, "bound", other, "true")
	w.say(consent.Private, "restricted", "", "true")
	w.run(w.call(connector.Restrict, ledger.Identify(shop, "restricted")))
	w.say(consent.Private, "asked", "", "true")
	w.advance(2 * 365 * 24 * time.Hour)
	day := w.now().Add(-400 * 24 * time.Hour)
	w.say(consent.Private, "bound-2", other, "true") // the same person, active
	w.project()
	requests := func(_ context.Context, i identity.Identifier) (bool, error) { return i.Value == "asked", nil }
	before := w.everything()
	for id, want := range map[redact.String]ledger.Standing{
		"lapsed": ledger.Lapsed, "bound": ledger.Active, "bound-2": ledger.Active, "restricted": ledger.Restricted, "asked": ledger.Requested,
	} {
		got, err := w.connector().Retirable(t.Context(), shop, id, day, requests)
		if must(t, err); got.Standing != want {
			t.Errorf("%s is %s, want %s", id, got.Standing, want)
		}
		if want == ledger.Lapsed {
			continue
		}
		got, err = w.connector().Retire(t.Context(), w.newID(w.now()), shop, id, day, requests)
		if must(t, err); got.Standing != want || got.Erased != nil {
			t.Errorf("%s: %+v", id, got)
		}
	}
	if diff := cmp.Diff(before, w.everything()); diff != "" {
		t.Fatalf("something has changed: %s", diff)
	}
	if _, err := w.connector().Retire(t.Context(), "r", shop, "lapsed", w.now().Add(-364*24*time.Hour), requests); !errs.Is(err, errs.Invalid) {
		t.Errorf("below the floor: %v", err)
	}
	for n := range 2 {
		got, err := w.connector().Retire(t.Context(), w.newID(w.now()), shop, "lapsed", day, requests)
		must(t, err)
		if n == 0 && (got.Erased["consents"] != 2 || len(got.Residue) != 0 || len(got.Kept) != 1 || got.Kept[0].Until != w.now().Add(40*24*time.Hour).Format(time.DateOnly)) {
			t.Errorf("%+v", got)
		}
		w.project()
	}
	if d := w.decide("lapsed", "", "news"); d.Granted {
		t.Errorf("%+v", d)
	}
	// Where a run dies, tidying up goes on with what it has remembered.
	w.say(consent.Private, "interrupted", "", "true")
	w.advance(3 * 365 * 24 * time.Hour)
	c := w.connector()
	c.Texts, c.Rows = w.options.Texts, &tiring{Rows: c.Rows, left: 3}
	if _, err := c.Retire(t.Context(), w.newID(w.now()), shop, "interrupted", w.now().Add(-400*24*time.Hour), requests); err == nil {
		t.Error("the run did not die")
	}
	if done, err := w.connector().Tidy(t.Context()); !done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
	if _, f := w.locate(ledger.Identify(shop, "interrupted")); len(f.Counts) != 0 {
		t.Errorf("%v", f.Counts)
	}
	// What was said before the day is erased whenever it arrives, what was said since
	// is a fresh consent.
	if until, err := w.erasures.Erased(t.Context(), []string{w.partition("lapsed")}); err != nil || !until[w.partition("lapsed")].Equal(day.Truncate(time.Millisecond)) {
		t.Errorf("%v, %v", until, err)
	}
	w.say(consent.Private, "lapsed", mail, "true")
	if d := w.decide("lapsed", "", "news"); !d.Granted || len(d.ConsentIDs) != 1 {
		t.Errorf("%+v", d)
	}
}

// TestTidy: without any request what is back goes, and the kept proofs whose day
// is over; where the time is short it says so, and goes on the next time.
func TestTidy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.inhabit()
	w.options.Policy.ProofKept = time.Hour // the floor is 30 days
	_, _, _ = w.erase(of(ines))
	w.project()
	must(t, w.erasures.Revive(t.Context(), shop, w.partition("crm-ines")))
	w.advance(40 * 24 * time.Hour)
	hurried, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if done, err := w.connector().Tidy(hurried); done || err != nil {
		t.Errorf("without time: %v, %v", done, err)
	}
	if n, err := w.connector().Expire(t.Context(), true); n != 3 || err != nil {
		t.Errorf("%d expired proofs, %v", n, err)
	}
	for range 2 {
		if done, err := w.connector().Tidy(t.Context()); !done || err != nil {
			t.Errorf("%v, %v", done, err)
		}
	}
	if n, err := w.connector().Expire(t.Context(), true); n != 0 || err != nil {
		t.Errorf("%d expired proofs are left, %v", n, err)
	}
	if left, err := w.erasures.Revivals(t.Context()); len(left) != 0 || err != nil {
		t.Errorf("%v, %v", left, err)
	}
	w.options.Removal = nil
	if _, err := w.connector().Tidy(t.Context()); err == nil {
		t.Error("a function that may not erase tidies")
	}
}

// TestEraseRevived_onePartitionFails: what cannot be erased now keeps nothing
// else from it, and stays noted.
func TestEraseRevived_onePartitionFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.say(consent.Private, "a", "", "true")
	w.say(consent.Private, "b", "", "true")
	for _, s := range []string{"a", "b"} {
		must(t, w.erasures.Put(t.Context(), []string{w.partition(s)}, w.now(), "r", shop))
		must(t, w.erasures.Revive(t.Context(), shop, w.partition(s)))
	}
	c := w.connector()
	c.Rows = broken{c.Rows, min(w.partition("a"), w.partition("b"))}
	if n, err := c.EraseRevived(t.Context()); n != 1 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
	if left, err := w.erasures.Revivals(t.Context()); len(left) != 1 || err != nil {
		t.Errorf("%v, %v", left, err)
	}
	if n, err := w.connector().EraseRevived(t.Context()); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// tiring reads so many pages.
type tiring struct {
	ledger.Rows
	left int
}

func (b *tiring) Page(ctx context.Context, subject, after string, limit int) ([]consent.Row, string, error) {
	if b.left--; b.left < 0 {
		return nil, "", errs.New(errs.Unavailable, "tired")
	}
	return b.Rows.Page(ctx, subject, after, limit)
}

// broken fails to read one partition.
type broken struct {
	ledger.Rows
	partition string
}

func (b broken) Page(ctx context.Context, subject, after string, limit int) ([]consent.Row, string, error) {
	if subject == b.partition {
		return nil, "", errs.New(errs.Unavailable, "broken")
	}
	return b.Rows.Page(ctx, subject, after, limit)
}
