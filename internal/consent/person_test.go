package consent_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

// partitions is a ledger that a test has written row by row. It cannot be
// written to: nothing but reading is tried on it.
type partitions struct {
	hasher *pseudonym.Hasher
	rows   map[string]consent.Rows
	size   int // bytes that each row takes
	reads  []string
	fails  error
}

func newPartitions(t interface{ Fatal(...any) }) *partitions {
	hasher, err := pseudonym.New([]byte(strings.Repeat("k", pseudonym.MinSecret)))
	if err != nil {
		t.Fatal(err)
	}
	return &partitions{hasher: hasher, rows: map[string]consent.Rows{}, size: 100}
}

// Partition implements consent.Reader.
func (p *partitions) Partition(_ context.Context, subject string, limit int) (consent.Rows, error) {
	p.reads = append(p.reads, subject)
	rows := p.rows[subject]
	rows.Bytes = p.size * (len(rows.Events) + len(rows.Bindings))
	if rows.Bytes > limit {
		return consent.Rows{}, consent.ErrTooManyEvents
	}
	return rows, p.fails
}

func (p *partitions) subject(id string) string { return p.hasher.Subject("shop", id) }

// own is the partition of an e-mail's own subject, and that subject's id.
func (p *partitions) own(address string) (partition, id string) {
	normal, ok := identity.NormalizeEmail(address)
	if !ok {
		return "", ""
	}
	id = p.hasher.EmailSubject("shop", normal)
	return p.subject(id), id
}

// put writes an event about a subject as the recorder would: with its binding,
// if somebody trusted states an e-mail that can be one.
func (p *partitions) put(eventID, subjectID string, source consent.Source, address string, at int) {
	e := consent.Event{
		ID: eventID, Kind: consent.KindConsent, Site: "shop", Subject: p.subject(subjectID), SubjectID: redact.String(subjectID),
		Source: source, Act: consent.WebForm, Claimed: minute(at), Received: minute(at),
	}
	if address != "" {
		e.Profile = email(address)
	}
	rows := p.rows[e.Subject]
	rows.Events = append(rows.Events, e)
	p.rows[e.Subject] = rows
	own, _ := p.own(address)
	if !source.Trusted() || own == "" || own == e.Subject {
		return
	}
	rows = p.rows[own]
	if slices.ContainsFunc(rows.Bindings, func(b consent.Binding) bool { return b.Subject == e.Subject }) {
		return
	}
	rows.Bindings = append(rows.Bindings, consent.Binding{
		Site: "shop", Own: own, Subject: e.Subject, SubjectID: e.SubjectID, Email: redact.String(address), At: e.Received,
	})
	p.rows[own] = rows
}

func ids(u consent.Union) []string {
	var list []string
	for _, e := range u.Events {
		list = append(list, e.ID)
	}
	slices.Sort(list)
	return list
}

func TestPeople_union(t *testing.T) {
	t.Parallel()
	type who struct {
		id, email string
		knownAt   int
	}
	for name, tt := range map[string]struct {
		put  func(*partitions)
		ask  []who
		want string // the ids of the events
	}{
		"one subject": {
			put: func(p *partitions) { p.put("a", "cust-1", public, "", 1); p.put("b", "cust-2", public, "", 1) },
			ask: []who{{id: "cust-1"}}, want: "a",
		},
		"nobody": {put: func(*partitions) {}, ask: []who{{id: "cust-1"}, {email: "q@x.test"}, {email: "not an address"}, {email: ""}}, want: ""},
		"e-mail and id, bound": {
			put: func(p *partitions) {
				_, own := p.own("q@x.test")
				p.put("a", own, public, "q@x.test", 1)
				p.put("b", "cust-1", private, "q@x.test", 2)
			},
			ask: []who{{id: "cust-1"}, {email: "q@x.test"}, {email: " Q@X.test "}}, want: "a b",
		},
		"two forms under two ids, one e-mail": {
			put: func(p *partitions) {
				p.put("a", "cust-1", private, "q@x.test", 1)
				p.put("b", "cust-2", private, "Q@X.TEST", 2)
				p.put("c", "cust-2", public, "", 3)
			},
			ask: []who{{id: "cust-1"}, {id: "cust-2"}, {email: "q@x.test"}}, want: "a b c",
		},
		"one id under two e-mails": {
			put: func(p *partitions) {
				_, own := p.own("old@x.test")
				p.put("a", own, public, "old@x.test", 1)
				p.put("b", "cust-1", private, "old@x.test", 1)
				p.put("c", "cust-1", private, "new@x.test", 2)
			},
			ask: []who{{id: "cust-1"}, {email: "old@x.test"}, {email: "new@x.test"}}, want: "a b c",
		},
		"over many steps": {
			put: func(p *partitions) {
				p.put("a", "cust-1", private, "q@x.test", 1)
				p.put("b", "cust-2", private, "q@x.test", 1)
				p.put("c", "cust-2", private, "r@x.test", 1)
				p.put("d", "cust-3", private, "r@x.test", 1)
				p.put("e", "cust-4", private, "s@x.test", 1)
			},
			ask: []who{{id: "cust-1"}, {id: "cust-3"}, {email: "q@x.test"}, {email: "r@x.test"}}, want: "a b c d",
		},
		"a public e-mail binds nobody": {
			put: func(p *partitions) {
				_, own := p.own("q@x.test")
				p.put("a", own, private, "q@x.test", 1)
				p.put("b", "cust-1", public, "q@x.test", 2)
			},
			ask: []who{{email: "q@x.test"}}, want: "a",
		},
		"nor does it lead from the id to the e-mail": {
			put: func(p *partitions) {
				_, own := p.own("q@x.test")
				p.put("a", own, private, "q@x.test", 1)
				p.put("b", "cust-1", public, "q@x.test", 2)
			},
			ask: []who{{id: "cust-1"}}, want: "b",
		},
		"an address that cannot be one binds nobody": {
			put: func(p *partitions) {
				p.put("a", "cust-1", private, "not an address", 1)
				p.put("b", "cust-2", private, "not an address", 1)
			},
			ask: []who{{id: "cust-1"}}, want: "a",
		},
		"not known before the binding": {
			put: func(p *partitions) {
				_, own := p.own("q@x.test")
				p.put("a", own, public, "q@x.test", 1)
				p.put("b", "cust-1", public, "", 1)
				p.put("c", "cust-1", private, "q@x.test", 5)
			},
			// What was received later is read but not reached through: Decide leaves it out.
			ask: []who{{email: "q@x.test", knownAt: 4}}, want: "a",
		},
		"known from the binding on": {
			put: func(p *partitions) {
				_, own := p.own("q@x.test")
				p.put("a", own, public, "q@x.test", 1)
				p.put("b", "cust-1", private, "q@x.test", 5)
			},
			ask: []who{{email: "q@x.test", knownAt: 5}, {id: "cust-1", knownAt: 5}}, want: "a b",
		},
		"a tombstone leads nowhere": {
			put: func(p *partitions) {
				p.put("b", "cust-2", private, "q@x.test", 1)
				rows := p.rows[p.subject("cust-1")]
				rows.Events = append(rows.Events, consent.Event{ID: "a", Subject: p.subject("cust-1"), ErasedAt: minutePtr(2), Source: private, Profile: email("q@x.test")})
				p.rows[p.subject("cust-1")] = rows
			},
			ask: []who{{id: "cust-1"}}, want: "a",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPartitions(t)
			tt.put(p)
			people := consent.NewPeople(p, p.hasher)
			for _, w := range tt.ask {
				var knownAt time.Time
				if w.knownAt > 0 {
					knownAt = minute(w.knownAt)
				}
				read := func() (consent.Union, error) { return people.ByID(t.Context(), "shop", w.id, knownAt) }
				if w.id == "" {
					read = func() (consent.Union, error) { return people.ByEmail(t.Context(), "shop", w.email, knownAt) }
				}
				u, err := read()
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Join(ids(u), " "); got != tt.want {
					t.Errorf("%+v: events %q, want %q", w, got, tt.want)
				}
			}
		})
	}
}

// Another site's events are never reached, not even under the same id and
// e-mail.
func TestPeople_sitesApart(t *testing.T) {
	t.Parallel()
	p := newPartitions(t)
	p.put("a", "cust-1", private, "q@x.test", 1)
	people := consent.NewPeople(p, p.hasher)
	for _, read := range []func() (consent.Union, error){
		func() (consent.Union, error) { return people.ByID(t.Context(), "other", "cust-1", time.Time{}) },
		func() (consent.Union, error) {
			return people.ByEmail(t.Context(), "other", "q@x.test", time.Time{})
		},
	} {
		if u, err := read(); err != nil || len(u.Events) != 0 {
			t.Errorf("%v, %v", ids(u), err)
		}
	}
}

// The union is what is connected by trusted statements that were known by then,
// and it is the same wherever one begins.
func TestPeople_unionIsConnected(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newPartitions(t)
		type write struct {
			id, email string
			trusted   bool
			at        int
		}
		var writes []write
		for i := range rapid.IntRange(1, 10).Draw(t, "writes") {
			w := write{
				id:      fmt.Sprintf("cust-%d", rapid.IntRange(1, 4).Draw(t, "id")),
				email:   rapid.SampledFrom([]string{"", "a@x.test", "B@x.test", "b@X.test", "c@x.test", "broken"}).Draw(t, "email"),
				trusted: rapid.Bool().Draw(t, "trusted"),
				at:      i, // received in this order: a binding row stands from the first on
			}
			source := consent.Public
			if w.trusted {
				source = consent.Private
			}
			if own, id := p.own(w.email); own != "" && rapid.IntRange(0, 3).Draw(t, "no id") == 0 {
				w.id = id
			}
			p.put(fmt.Sprintf("e%02d", i), w.id, source, w.email, w.at)
			writes = append(writes, w)
		}
		knownAt := rapid.IntRange(0, 10).Draw(t, "known at")

		// The components, by looking again and again until nothing changes.
		component := map[string]int{}
		node := func(id string) int {
			if _, ok := component[id]; !ok {
				component[id] = len(component) + 1
			}
			return component[id]
		}
		for changed := true; changed; {
			changed = false
			for _, w := range writes {
				node(w.id)
				_, own := p.own(w.email)
				if !w.trusted || own == "" || w.at > knownAt {
					continue
				}
				if a, b := node(w.id), node(own); a != b {
					component[w.id], component[own], changed = min(a, b), min(a, b), true
				}
			}
		}
		people := consent.NewPeople(p, p.hasher)
		for id, c := range component {
			var want []string
			for i, w := range writes {
				if component[w.id] == c {
					want = append(want, fmt.Sprintf("e%02d", i))
				}
			}
			u, err := people.ByID(context.Background(), "shop", id, minute(knownAt))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, ids(u)); diff != "" {
				t.Fatalf("from %s (-want +got):\n%s", id, diff)
			}
			if distinct := slices.Compact(slices.Sorted(slices.Values(u.Partitions))); len(distinct) != len(u.Partitions) {
				t.Fatalf("a partition was read twice: %v", u.Partitions)
			}
		}
	})
}

// crowd binds n subjects to one e-mail.
func crowd(p *partitions, n int) {
	for i := range n {
		p.put(fmt.Sprintf("e%03d", i), fmt.Sprintf("cust-%03d", i), private, "info@x.test", 1)
	}
}

func TestPeople_limits(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		put     func(*partitions)
		tooMany bool
	}{
		"100 partitions": {put: func(p *partitions) { crowd(p, 99) }},
		"101 partitions": {put: func(p *partitions) { crowd(p, 100) }, tooMany: true},
		"as much as one read may take": {put: func(p *partitions) {
			p.size = consent.MaxPerson / 4
			p.put("a", "cust-000", private, "info@x.test", 1)
			p.put("b", "cust-001", private, "info@x.test", 1)
		}},
		"a byte more, in one partition": {put: func(p *partitions) {
			p.size = consent.MaxPerson + 1
			p.put("a", "cust-000", private, "info@x.test", 1)
		}, tooMany: true},
		"a byte more, over several partitions": {put: func(p *partitions) {
			p.size = consent.MaxPerson/4 + 1
			p.put("a", "cust-000", private, "info@x.test", 1)
			p.put("b", "cust-001", private, "info@x.test", 1)
		}, tooMany: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPartitions(t)
			tt.put(p)
			people := consent.NewPeople(p, p.hasher)
			for door, read := range map[string]func() (consent.Union, error){
				"id":     func() (consent.Union, error) { return people.ByID(t.Context(), "shop", "cust-000", time.Time{}) },
				"e-mail": func() (consent.Union, error) { return people.ByEmail(t.Context(), "shop", "info@x.test", time.Time{}) },
			} {
				u, err := read()
				if errors.Is(err, consent.ErrTooManyEvents) != tt.tooMany || (err == nil) == tt.tooMany {
					t.Errorf("by %s: %v", door, err)
				}
				if tt.tooMany && u.Events != nil {
					t.Errorf("by %s: some events came back with the error", door)
				}
			}
		})
	}
}

// A read that fails is no answer: the caller must not decide by what was read.
func TestPeople_readFails(t *testing.T) {
	t.Parallel()
	p := newPartitions(t)
	p.put("a", "cust-1", private, "q@x.test", 1)
	p.fails = errors.New("no answer")
	u, err := consent.NewPeople(p, p.hasher).ByID(t.Context(), "shop", "cust-1", time.Time{})
	if !errors.Is(err, p.fails) || u.Events != nil {
		t.Errorf("%v, %v", ids(u), err)
	}
}

// What the union says about subjects and e-mails comes from trusted writers.
func TestPeople_names(t *testing.T) {
	t.Parallel()
	p := newPartitions(t)
	_, own := p.own("q@x.test")
	p.put("a", own, public, "q@x.test", 1)
	p.put("b", "cust-1", private, "Q@x.test", 2)
	p.put("c", "cust-1", public, "spy@x.test", 3)
	u, err := consent.NewPeople(p, p.hasher).ByEmail(t.Context(), "shop", "q@x.test", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	subjects := map[string]string{}
	for partition, id := range u.Subjects {
		subjects[partition] = id.Reveal()
	}
	ownPartition, _ := p.own("q@x.test")
	if diff := cmp.Diff(map[string]string{ownPartition: own, p.subject("cust-1"): "cust-1"}, subjects); diff != "" {
		t.Errorf("subjects (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Q@x.test"}, slices.Sorted(maps.Keys(u.Emails))); diff != "" {
		t.Errorf("e-mails (-want +got):\n%s", diff)
	}
}
