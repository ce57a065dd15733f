package ledger_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

const (
	ines = "ines@example.test"
	bob  = "bob@example.test"
)

func evidence(f connector.Findings) map[string]string {
	out := map[string]string{}
	for _, c := range f.Candidates {
		out[c.Identifier.Value.Reveal()] = c.Evidence
	}
	return out
}

// TestLocate: identity decides what a proven e-mail reaches.
func TestLocate(t *testing.T) {
	t.Parallel()
	phone := func(s *consent.Submission, number, name string) *consent.Submission {
		s.Profile.Phones = &consent.Phones{List: []consent.Phone{{Number: redact.String(number)}}}
		s.Profile.FullName = &consent.Text{Value: redact.String(name)}
		return s
	}
	const unconfirmed = "a public form has stated the e-mail on this subject, and nobody has confirmed it"
	for name, tt := range map[string]struct {
		arrange    func(w *world)
		ask        connector.Subject
		counts     map[string]int
		candidates map[string]string
		reached    []string // subject ids that are yielded, besides the e-mail's own
	}{
		"nothing": {func(*world) {}, of(ines), map[string]int{}, map[string]string{}, nil},
		"the e-mail's own subject": {
			func(w *world) { w.say(consent.Public, "", ines, "true"); w.say(consent.Public, "", bob, "true") },
			of(ines), map[string]int{"consents": 1}, map[string]string{}, nil,
		},
		"written otherwise": {
			func(w *world) { w.say(consent.Public, "", " Ines@EXAMPLE.test ", "true") },
			of(ines), map[string]int{"consents": 1}, map[string]string{}, nil,
		},
		"bound by the company": {
			func(w *world) {
				w.say(consent.Private, "crm-1", ines, "true")
				w.say(consent.Public, "crm-1", "", "false")
				w.say(consent.Public, "", ines, "true")
			},
			of(ines), map[string]int{"consents": 3, "bindings": 1}, map[string]string{}, []string{"crm-1"},
		},
		"two customer numbers, two addresses": {
			func(w *world) {
				w.say(consent.Private, "crm-1", ines, "true")
				w.say(consent.Private, "crm-2", ines, "true")
				w.say(consent.Private, "crm-2", "ines@work.test", "true")
				w.say(consent.Public, "", "ines@work.test", "true")
			},
			of(ines), map[string]int{"consents": 4, "bindings": 3}, map[string]string{}, []string{"crm-1", "crm-2"},
		},
		"takeover: an e-mail planted on somebody's subject": {
			func(w *world) {
				w.say(consent.Private, "victim", bob, "true")
				w.say(consent.Public, "victim", ines, "true") // who owns ines@ wants bob's data
			},
			of(ines), map[string]int{"single_events": 1}, map[string]string{"victim": unconfirmed}, nil,
		},
		"takeover: a stranger claims the proven e-mail": {
			func(w *world) {
				w.say(consent.Private, "crm-1", ines, "true")
				w.say(consent.Public, "stranger", ines, "true")
				w.say(consent.Public, "stranger", "", "true")
			},
			of(ines), map[string]int{"consents": 1, "bindings": 1, "single_events": 1}, map[string]string{"stranger": unconfirmed}, []string{"crm-1"},
		},
		"an accepted candidate is followed": {
			func(w *world) {
				w.say(consent.Public, "stranger", ines, "true")
				w.say(consent.Public, "stranger", "", "true")
			},
			of(ines, id(identity.SubjectID, "stranger")), map[string]int{"consents": 2}, map[string]string{}, nil,
		},
		"two persons share a phone": {
			func(w *world) {
				w.post(phone(submission(consent.Private, "crm-1", ines, "true"), "+33 6 12 34 56 78", "Ines Roy"))
				w.post(phone(submission(consent.Private, "crm-2", bob, "true"), "+33612345678", "Bob Roy"))
			},
			of(ines), map[string]int{"consents": 1, "bindings": 1}, map[string]string{"crm-2": "the same telephone number, another name"}, []string{"crm-1"},
		},
		"a shared name alone": {
			func(w *world) {
				w.post(phone(submission(consent.Private, "crm-1", ines, "true"), "+33612345678", "Ines Roy"))
				w.post(phone(submission(consent.Private, "crm-2", bob, "true"), "+33700000000", "Ines Roy"))
			},
			of(ines, id(identity.Name, "ines roy")), map[string]int{"consents": 1, "bindings": 1}, map[string]string{"crm-2": "the same name, nothing else"}, []string{"crm-1"},
		},
		"by subject id": {
			func(w *world) { w.say(consent.Private, "crm-1", ines, "true") },
			of("", id(identity.SubjectID, "crm-1")), map[string]int{"consents": 1, "bindings": 1}, map[string]string{}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.arrange(w)
			w.project()
			s, f := w.locate(tt.ask)
			if diff := cmp.Diff(tt.counts, f.Counts); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			got := evidence(f)
			for subject, why := range got { // the e-mail's own subject has no id that a test knows
				if subject == w.own(bob) {
					delete(got, subject)
					_ = why
				}
			}
			if diff := cmp.Diff(tt.candidates, got); diff != "" {
				t.Errorf("candidates (-want +got):\n%s", diff)
			}
			for _, want := range tt.reached {
				if !contains(s.Of(identity.SubjectID), want) || !contains(s.Of(identity.ExternalID), want) {
					t.Errorf("%s is not yielded", want)
				}
			}
			if contains(s.Of(identity.SubjectID), "victim") {
				t.Error("the victim's subject is yielded")
			}
			for _, note := range f.Notes {
				if strings.Contains(note, "@") {
					t.Errorf("a note holds an address: %s", note)
				}
			}
		})
	}
}

func contains(list []identity.Identifier, value string) bool {
	for _, i := range list {
		if i.Value.Reveal() == value {
			return true
		}
	}
	return false
}

// TestLocate_hiddenEmail: a single event that states the e-mail is found although
// the view shows another one.
func TestLocate_hiddenEmail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.say(consent.Public, "stranger", ines, "true")
	w.say(consent.Public, "stranger", bob, "true")
	w.project()
	if _, f := w.locate(of(ines)); f.Counts["single_events"] != 1 {
		t.Errorf("%v", f.Counts)
	}
}

// TestLocate_derived: what Avow has made of an address, or of nothing, is no number
// of the company's, and no vendor is asked for it; the ledger is.
func TestLocate_derived(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const number, user = "+33612345678", "FR.1001x"
	answer := func(subject string) {
		s := submission(consent.Confirmed, subject, "", "true")
		s.Act, s.Profile.Phones = consent.MessageReply, &consent.Phones{List: []consent.Phone{{Number: number}}}
		w.post(s)
	}
	w.say(consent.Private, "crm-1", ines, "true")
	made := []string{w.hasher.PhoneSubject(shop, number), w.hasher.ChatSubject(shop, user), w.hasher.KeySubject(shop, "key"), w.own(ines)}
	for _, subject := range append(made, "crm-1") {
		if subject != w.own(ines) {
			answer(subject)
		}
	}
	w.project()
	s, _ := w.locate(of(ines))
	for _, subject := range made {
		if !contains(s.Of(identity.SubjectID), subject) || contains(s.Of(identity.ExternalID), subject) {
			t.Errorf("%s: in the ledger %v, at vendors %v", subject, contains(s.Of(identity.SubjectID), subject), contains(s.Of(identity.ExternalID), subject))
		}
	}
	if !contains(s.Of(identity.ExternalID), "crm-1") {
		t.Error("the company's own number is not looked for")
	}
}

// TestLocate_everybody: identifiers that reach too many subjects are nobody's.
func TestLocate_everybody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range consent.MaxBound + 1 {
		w.say(consent.Private, "crm-"+string(rune('a'+i%26))+string(rune('a'+i/26)), "info@example.test", "true")
	}
	if _, err := w.connector().Locate(t.Context(), of("info@example.test")); err == nil {
		t.Error("a mailbox of everybody is taken for one person")
	}
}

// TestLocate_list: a name with an initial finds its namesake among many who share
// one word of it, without the list of the site, which the roles of steps and erase
// may not read.
func TestLocate_list(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	named := func(subject, name string) {
		s := submission(consent.Private, subject, "", "true")
		s.Profile.FullName = &consent.Text{Value: redact.String(name)}
		w.post(s)
	}
	named("crm-1", "John F Kennedy")
	for i := range 25 {
		w.advance(time.Second)
		named(fmt.Sprintf("other-%d", i), "John Doe")
	}
	w.project()
	_, f := w.locate(of(ines, id(identity.Name, "John F Kennedy"), id(identity.Name, "J F")))
	if diff := cmp.Diff(map[string]string{"crm-1": "the same name, nothing else"}, evidence(f)); diff != "" {
		t.Error(diff)
	}
	if len(f.Notes) != 1 || !strings.Contains(f.Notes[0], "Too many") {
		t.Errorf("notes %q, want one about the name that is all initials", f.Notes)
	}
	for _, call := range w.net.Calls() {
		if bytes.Contains(call.Body, []byte(`"BySite"`)) {
			t.Errorf("%s reads the list of the site", call.Operation)
		}
	}
}
