package zendeskmessaging_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/zendeskmessaging/fake"
	"github.com/avow-consent/avow/internal/identity"
)

func TestLocate(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	f := d.locate(conformance.Person(strings.ToUpper(company.Ines)))
	if diff := cmp.Diff([]string{d.Find(company.Ines)}, ids(f.Identifiers, "user_id")); diff != "" {
		t.Error(diff)
	}
	want := map[string]int{"users": 1, "clients": 2, "devices": 1, "conversations": 4, "shared conversations": 1}
	if diff := cmp.Diff(want, f.Counts); diff != "" {
		t.Error(diff)
	}
	if len(ids(f.Identifiers, "conversation_id")) != 4 || len(f.Identifiers) != 5 || len(f.Candidates) != 0 {
		t.Errorf("%d identifiers, candidates %+v", len(f.Identifiers), f.Candidates)
	}
	for _, want := range []string{"1 conversations are shared with 2 other people: only what the person wrote", "linked to a user of Support that was not found there"} {
		if !strings.Contains(strings.Join(f.Notes, "\n"), want) {
			t.Errorf("no note %q: %q", want, f.Notes)
		}
	}
	for _, i := range f.Identifiers {
		if i.Trust != identity.Vendor || i.System != "messaging" {
			t.Errorf("%+v", i)
		}
	}
	if f := d.locate(conformance.Person("nobody@example.test")); len(f.Identifiers)+len(f.Candidates)+len(f.Counts)+len(f.Notes) != 0 {
		t.Errorf("nobody: %+v", f)
	}
}

// The search matches identities, never profile.email.
func TestLocate_profileEmailIsNoIdentity(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	d.AddUser(fake.User{Profile: map[string]string{"email": "only@profile.test"}})
	if f := d.locate(conformance.Person("only@profile.test")); len(f.Identifiers)+len(f.Candidates) != 0 {
		t.Errorf("%+v", f)
	}
}

// What somebody typed into a bot is an identity that nobody has verified.
func TestLocate_unverifiedIdentity(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	f := d.locate(conformance.Person(fake.Hoax))
	if len(f.Identifiers) != 0 || len(f.Candidates) != 1 || f.Candidates[0].Identifier.Value.Reveal() != d.Find(fake.Hoax) || !strings.Contains(f.Candidates[0].Evidence, "not verified") {
		t.Errorf("%+v", f)
	}
	d.set(`,"verified":["sso",""]`) // a company whose identities say nothing of it, and that trusts them
	if f := d.locate(conformance.Person(fake.Hoax)); len(f.Identifiers) == 0 || len(f.Candidates) != 0 {
		t.Errorf("trusted: %+v", f)
	}
}

// There is no search by telephone. The number of a channel is evidence for a
// candidate, and finds nobody by itself: Leo and Mo share one.
func TestLocate_phoneIsEvidence(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	if f := d.locate(conformance.Person(company.Leo)); len(ids(f.Identifiers, "user_id")) != 1 || len(f.Candidates) != 0 {
		t.Errorf("Leo and who has his telephone: %+v", f)
	}
	typed := d.AddUser(fake.User{Identities: []fake.Identity{{Type: "email", Value: company.Leo}}})
	other := d.AddUser(fake.User{Identities: []fake.Identity{{Type: "email", Value: company.Leo}}})
	d.AddClient(fake.Client{User: typed, Type: "whatsapp", ExternalID: "33199001122"})
	d.AddClient(fake.Client{User: other, Type: "messenger", ExternalID: "33199001122"}) // a number of another kind
	f := d.locate(conformance.Person(company.Leo))
	if len(f.Candidates) != 2 {
		t.Fatalf("%+v", f.Candidates)
	}
	for _, c := range f.Candidates {
		if got := strings.Contains(c.Evidence, "telephone number"); got != (c.Identifier.Value.Reveal() == typed) {
			t.Errorf("%q", c.Evidence)
		}
		if strings.Contains(c.Evidence, "33199001122") {
			t.Error("evidence holds the number")
		}
	}
	phone := connector.Subject{Identifiers: []identity.Identifier{conformance.By(identity.Phone, company.Shared)}}
	if f := d.locate(phone); len(f.Identifiers)+len(f.Candidates) != 0 {
		t.Errorf("by telephone: %+v", f)
	}
}

// The path of a user takes ids and external ids. Whoever has chosen somebody
// else's id as external id is not that person, and the other way round.
func TestLocate_externalIDThatIsAnID(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	ines := d.Find(company.Ines)
	impostor := d.AddUser(fake.User{ExternalID: "67a0ffffffffffffffffffff"})
	for name, s := range map[string]connector.Subject{
		"external id that is an id": {Identifiers: []identity.Identifier{conformance.By(identity.ExternalID, ines)}},
		"id that is an external id": {Identifiers: []identity.Identifier{conformance.By("messaging.user_id", "67a0ffffffffffffffffffff")}},
		"id of another system":      {Identifiers: []identity.Identifier{conformance.By("other.user_id", ines)}},
	} {
		if f := d.locate(s); len(f.Identifiers)+len(f.Candidates) != 0 {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if f := d.locate(connector.Subject{Identifiers: []identity.Identifier{conformance.By(identity.ExternalID, "67a0ffffffffffffffffffff")}}); ids(f.Identifiers, "user_id")[0] != impostor {
		t.Errorf("%+v", f)
	}
	// An erasure by such an id deletes nobody.
	p, err := d.drive(connector.Call{Operation: connector.Erase, Subject: connector.Subject{Identifiers: []identity.Identifier{conformance.By("messaging.user_id", "67a0ffffffffffffffffffff")}}})
	if err != nil || !p.Done || len(p.Counts) != 0 || d.calls(0)["DELETE /users/{id}"] != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

// zendeskId links a user to Support. Where it is missing, an external id that is
// the same number may be the company's own.
func TestLocate_supportUser(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	linked := d.AddUser(fake.User{ExternalID: "30045", ZendeskID: "30045"})
	unlinked := d.AddUser(fake.User{ExternalID: "30046"})
	d.AddUser(fake.User{ExternalID: "30047", ZendeskID: "99999"})
	at := func(id string) connector.Findings {
		return d.locate(connector.Subject{Identifiers: []identity.Identifier{conformance.By("support.user_id", id)}})
	}
	if f := at("30045"); len(f.Identifiers) != 1 || f.Identifiers[0].Value.Reveal() != linked || len(f.Notes) != 0 {
		t.Errorf("linked: %+v", f)
	}
	if f := at("30046"); len(f.Identifiers) != 0 || len(f.Candidates) != 1 || f.Candidates[0].Identifier.Value.Reveal() != unlinked {
		t.Errorf("not linked: %+v", f)
	}
	if f := at("30047"); len(f.Identifiers)+len(f.Candidates) != 0 {
		t.Errorf("linked to somebody else: %+v", f)
	}
	needs, _ := d.c.Identifiers()
	d.config = strings.Replace(d.config, `"support":"support"`, `"support":""`, 1)
	without, yields := d.connect(d.contract).Identifiers()
	if len(needs) != len(without)+1 || len(yields) != 2 {
		t.Errorf("%v, %v, %v", needs, without, yields)
	}
}

// Users of a brand are found by external id and e-mail only with their brand.
func TestLocate_brands(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	d.AddUser(fake.User{ExternalID: "b-1", BrandID: "9477922990333", Identities: []fake.Identity{{Type: "email", Value: "brand@example.test", Verification: "sso"}}})
	for _, s := range []connector.Subject{conformance.Person("brand@example.test"), {Identifiers: []identity.Identifier{conformance.By(identity.ExternalID, "b-1")}}} {
		if f := d.locate(s); len(f.Identifiers) != 0 {
			t.Errorf("without the brand: %+v", f)
		}
	}
	d.set(`,"brands":["9477922990333"]`)
	for _, s := range []connector.Subject{conformance.Person("brand@example.test"), {Identifiers: []identity.Identifier{conformance.By(identity.ExternalID, "b-1")}}} {
		if f := d.locate(s); len(f.Identifiers) != 1 {
			t.Errorf("with the brand: %+v", f)
		}
	}
}

// A conversation that is known from elsewhere leads to who talks to the company
// in it, and nowhere when several do.
func TestLocate_conversation(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	visitor := d.AddUser(fake.User{})
	talk, club := d.Talk(visitor), d.TalkTogether(visitor, d.Find(company.Mo))
	at := func(id string) connector.Findings {
		return d.locate(connector.Subject{Identifiers: []identity.Identifier{conformance.By("messaging.conversation_id", id)}})
	}
	if f := at(talk); len(ids(f.Identifiers, "user_id")) != 1 || ids(f.Identifiers, "user_id")[0] != visitor || f.Counts["conversations"] != 2 {
		t.Errorf("%+v", f)
	}
	for name, id := range map[string]string{"of several": club, "gone": "67a0ffffffffffffffffffff"} {
		if f := at(id); len(f.Identifiers)+len(f.Candidates) != 0 {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// The API has no agents: their names stand in other people's conversations.
func TestLocate_agent(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	s := conformance.Person(company.Agent)
	s.Agent = true
	if f := d.locate(s); len(f.Identifiers)+len(f.Counts) != 0 || len(f.Notes) != 1 || !strings.Contains(f.Notes[0], "an agent's name") {
		t.Errorf("%+v", f)
	}
}
