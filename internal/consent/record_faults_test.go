package consent_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/site"
)

// everyCall is a submission that makes every call that a consent can make, in
// the order of calls.
func everyCall(t testing.TB, b *book) *consent.Submission {
	t.Helper()
	b.site.TokenKeys = []site.TokenKey{{ID: "k1", Secret: b.putSecret(t, "k1", "s")}}
	s := submission(private, "cust-1", "ines@example.test", "true")
	s.IdempotencyKey = b.key(0)
	s.Token = site.SignToken("k1", []byte("s"), "shop", "cust-1", b.clock.Now().Add(time.Hour))
	s.Proofs = proofs(large, "<form>")
	return s
}

var calls = []struct {
	operation string
	nth       int
	commits   bool // from here on the event is in the ledger if the call is applied
}{
	{"secretsmanager.GetSecretValue", 1, false},
	{"s3.PutObject", 1, false}, // content
	{"dynamodb.UpdateItem", 1, false},
	{"s3.PutObject", 2, false}, // form
	{"dynamodb.PutItem", 1, true},
	{"dynamodb.PutItem", 2, true}, // binding
}

func faultsOf(operation string) []faulty.Fault {
	list := slices.Concat(faulty.Before, faulty.After)
	if operation == "s3.PutObject" {
		list = append(list, faulty.Conflict)
	}
	return list
}

// Each call may fail once, in any way, before or after it was applied: the
// consent is acknowledged all the same, and stands once in the ledger.
func TestRecord_oneFault(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		t.Run(fmt.Sprint(call.operation, " ", call.nth), func(t *testing.T) {
			t.Parallel()
			for _, fault := range faultsOf(call.operation) {
				b := newBook(t)
				s := everyCall(t, b)
				b.net.Break(faulty.Nth(call.operation, call.nth, fault))
				ack, err := b.record(t.Context(), s)
				if err != nil {
					t.Errorf("%v: %v", fault, err)
					continue
				}
				b.net.Reset()
				b.wantOnce(t, fault.String(), s, ack)
			}
		})
	}
}

// wantOnce checks that an acknowledged consent of everyCall stands once in the
// ledger, whole, and that a retry gets the same answer.
func (b *book) wantOnce(t testing.TB, fault string, s *consent.Submission, ack consent.Acknowledgement) {
	t.Helper()
	stored := kinds(b.everything(t))
	want := map[string]int{"EVENTS_TABLE": 2, "FORMS_TABLE": 1, "content/": 1, "forms/": 1, "SITES_TABLE": 1}
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Errorf("%s: rows and objects (-want +got):\n%s", fault, diff)
	}
	e := b.event(t, ack)
	contents, forms := b.readProofs(t, e)
	if len(contents) != 1 || contents[0] != large || len(forms) != 1 || forms[0] != "<form>" {
		t.Errorf("%s: other proofs", fault)
	}
	if e.Token != consent.TokenValid {
		t.Errorf("%s: token %q", fault, e.Token)
	}
	if again, err := b.instance(t).record(t.Context(), s); err != nil || again != ack {
		t.Errorf("%s: a retry: %+v, %v; want %+v", fault, again, err, ack)
	}
	for door, state := range b.decide(t, "cust-1", "ines@example.test", "news") {
		if !state.Granted {
			t.Errorf("%s: door %d: %s", fault, door, state.Reason)
		}
	}
}

// A call that fails however often it is tried means that the consent is not
// acknowledged; what a crash leaves behind, the client's retry repairs.
func TestRecord_lastingFault(t *testing.T) {
	t.Parallel()
	for _, call := range calls {
		t.Run(fmt.Sprint(call.operation, " ", call.nth), func(t *testing.T) {
			t.Parallel()
			for _, fault := range faultsOf(call.operation) {
				b := newBook(t)
				s := everyCall(t, b)
				b.net.Break(func(c faulty.Call) faulty.Fault {
					return only(c.Operation == call.operation && c.Nth >= call.nth, fault)
				})
				ack, err := b.record(t.Context(), s)
				if fault == faulty.Cut && call.operation == "s3.PutObject" && err == nil {
					continue // S3's answer to a put has no body that could be cut
				}
				if !errs.Is(err, errs.Unavailable) || ack != (consent.Acknowledgement{}) {
					t.Errorf("%v: %+v, %v; want unavailable", fault, ack, err)
					continue
				}
				rows := b.events(t)
				switch {
				case !call.commits && rows != 0:
					t.Errorf("%v: %d rows in the ledger without their proofs", fault, rows)
				case call.commits && call.nth == 1 && (rows == 1) != fault.Applied():
					t.Errorf("%v: %d rows in the ledger", fault, rows)
				case call.commits && call.nth == 2 && rows != map[bool]int{false: 1, true: 2}[fault.Applied()]:
					t.Errorf("%v: %d rows in the ledger", fault, rows)
				}
				b.net.Reset()
				b.clock.advance(time.Minute)
				if ack, err = b.record(t.Context(), s); err != nil {
					t.Errorf("%v: the client's retry: %v", fault, err)
					continue
				}
				if !ack.Timestamp.Equal(day0) {
					t.Errorf("%v: the client's retry claims %v", fault, ack.Timestamp)
				}
				b.wantOnce(t, fault.String(), s, ack)
			}
		})
	}
}

// A caller that goes away leaves nothing half done that a retry does not repair.
func TestRecord_canceled(t *testing.T) {
	t.Parallel()
	for n := 1; n <= len(calls); n++ {
		b := newBook(t)
		s := everyCall(t, b)
		ctx, cancel := context.WithCancel(t.Context())
		var made int
		b.net.Break(func(faulty.Call) faulty.Fault {
			if made++; made == n {
				cancel()
			}
			return faulty.None
		})
		_, err := b.record(ctx, s)
		cancel()
		if !errs.Is(err, errs.Unavailable) {
			t.Errorf("canceled at call %d: %v", n, err)
		}
		b.net.Reset()
		b.wantOnce(t, fmt.Sprint("canceled at call ", n), s, b.mustRecord(t, s))
	}
}

// visitor is a client that retries with the same key until it is told.
type visitor struct {
	posts []*consent.Submission
	acks  map[int]consent.Acknowledgement
	gave  map[int]bool // gave up: whether it was stored is not known
}

// Many clients, many instances, faults everywhere: every acknowledged consent
// stands in the ledger exactly once, and the answers follow from what stands
// there.
func TestRecord_storm(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			random := rand.New(rand.NewPCG(seed, 1))
			visitors := make([]*visitor, 6)
			for i := range visitors {
				v := &visitor{acks: map[int]consent.Acknowledgement{}, gave: map[int]bool{}}
				for range 6 {
					v.posts = append(v.posts, drawPost(random, b))
				}
				visitors[i] = v
			}
			instances := []*book{b.instance(t), b.instance(t), b.instance(t)}
			for i, instance := range instances {
				instance.net.Break(faulty.Seeded(seed*10+uint64(i), 0.25, slices.Concat(faulty.Before, faulty.After)...))
			}
			var wg sync.WaitGroup
			for i, v := range visitors {
				wg.Go(func() { v.visit(t, instances, i) })
			}
			wg.Wait()
			b.wantAccounted(t, visitors)
		})
	}
}

func drawPost(random *rand.Rand, b *book) *consent.Submission {
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	source := []consent.Source{public, public, private}[random.IntN(3)]
	s := submission(source, pick("", "cust-1", "cust-2"), pick("", "a@x.test", "b@x.test"), pick("true", "false", `"x"`))
	s.IdempotencyKey = b.key(-time.Duration(random.IntN(600)) * time.Second)
	if random.IntN(2) == 0 {
		s.SentAt = b.at(ago(0))
	}
	if random.IntN(2) == 0 {
		s.Proofs = proofs(pick("", "content", large), pick("", "<form>", "<other form>"))
	}
	return s
}

func (v *visitor) visit(t *testing.T, instances []*book, start int) {
	for i, s := range v.posts {
		v.gave[i] = true
		for try := range 4 {
			own := *s
			ack, err := instances[(start+i+try)%len(instances)].record(t.Context(), &own)
			if err == nil {
				v.acks[i], v.gave[i] = ack, false
				break
			}
			if !errs.Is(err, errs.Unavailable) {
				t.Errorf("%v", err)
			}
		}
	}
}

// wantAccounted compares the ledger with what the visitors were told.
func (b *book) wantAccounted(t *testing.T, visitors []*visitor) {
	t.Helper()
	acknowledged, unknown := map[string]*consent.Submission{}, 0
	for _, v := range visitors {
		for i, s := range v.posts {
			if v.gave[i] {
				unknown++
				continue
			}
			acknowledged[v.acks[i].ID] = s
			e := b.event(t, v.acks[i])
			if e.Request != s.Digest() {
				t.Errorf("the record of %s is another request's", e.ID)
			}
			b.readProofs(t, e)
		}
	}
	stored := map[string]int{}
	people := consent.NewPeople(b.Events, b.Hasher)
	_ = b.Events.Walk(t.Context(), func(_, subject string) error {
		rows, err := b.Events.Partition(t.Context(), subject, consent.MaxPerson)
		if err != nil {
			return err
		}
		for _, e := range rows.Events {
			stored[e.ID] = 1
			if _, ok := acknowledged[e.ID]; !ok {
				b.readProofs(t, &e) // not acknowledged, but if it stands there it is whole
			}
		}
		return nil
	})
	if len(stored) < len(acknowledged) || len(stored) > len(acknowledged)+unknown {
		t.Errorf("%d events, %d acknowledged, %d of which nobody knows", len(stored), len(acknowledged), unknown)
	}
	for id := range acknowledged {
		if stored[id] != 1 {
			t.Errorf("the acknowledged consent %s is lost", id)
		}
	}
	if len(acknowledged) == 0 {
		t.Error("nothing was acknowledged: the storm was too heavy to tell anything")
	}
	for _, mail := range []string{"a@x.test", "b@x.test"} {
		u, err := people.ByEmail(t.Context(), "shop", mail, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		v := consent.View{Now: b.clock.Now()}
		if diff := cmp.Diff(naiveDecide(u.Events, "news", v, consent.Rules{}), consent.Decide(u.Events, "news", v, consent.Rules{})); diff != "" {
			t.Errorf("%s (-oracle +fold):\n%s", mail, diff)
		}
		for _, e := range u.Events {
			if s := acknowledged[e.ID]; s != nil && s.Source == private && s.SubjectID != "" && s.Profile.Email != nil {
				// A trusted writer that was told has its e-mail bound: by id and by e-mail it is one person.
				other, err := people.ByID(t.Context(), "shop", s.SubjectID.Reveal(), time.Time{})
				if err != nil || len(other.Events) != len(u.Events) {
					t.Errorf("%s: %d events by e-mail, %d by id, %v", mail, len(u.Events), len(other.Events), err)
				}
			}
		}
	}
}

// From its acknowledgement on a withdrawal holds, whatever breaks, by every
// name of the person.
func TestRecord_withdrawalHoldsInAStorm(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.net.Break(faulty.Seeded(7, 0.3, slices.Concat(faulty.Before, faulty.After)...))
	until := func(s *consent.Submission) {
		t.Helper()
		s.IdempotencyKey = b.key(0)
		s.Profile.FirstName = &consent.Text{Value: redact.String("Ines")}
		for range 20 {
			if _, err := b.record(t.Context(), s); err == nil {
				return
			}
		}
		t.Fatal("never acknowledged")
	}
	calm := b.instance(t)
	for range 8 {
		b.clock.advance(time.Minute)
		until(submission(private, "cust-1", "ines@example.test", "true"))
		for door, state := range calm.decide(t, "cust-1", "ines@example.test", "news") {
			if !state.Granted {
				t.Fatalf("door %d: %s after a grant", door, state.Reason)
			}
		}
		b.clock.advance(time.Minute)
		until(submission(public, "", "ines@example.test", "false"))
		for door, state := range calm.decide(t, "cust-1", "ines@example.test", "news") {
			if state.Granted {
				t.Fatalf("door %d: granted after an acknowledged withdrawal", door)
			}
		}
	}
}
