package requests_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector/ledger"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/request"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	a := d.ask("operator", "POST", "/requests", `{"type":"access","residence":"FR","language":"fr","subject":{"email":" Ines.Planted@example.test ","phone":"+34 600 123 987","name":"Inesita","subject_id":"cust-planted-881"},
		"channel":"chat","reference":"chat-planted-77","message":"what Inesita writes","received":"2026-01-31T09:00:00Z"}`).want(200)
	for path, want := range map[string]any{
		"state": "waiting_identity", "regime": "gdpr", "identity.method": "email", "identity.links": 1.0, "identity.proven": false,
		"opened_by.who": "The operator", "opened_by.role": "operator", "received": "2026-01-31T09:00:00Z",
		"clock.due": "2026-02-28T22:59:59Z", "clock.days_left": 25.0, "reference": nil, "person": nil, "identifiers": nil,
	} {
		if diff := cmp.Diff(want, a.at(path)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	known, err := d.store.Known(t.Context(), a.id())
	if err != nil {
		t.Fatal(err)
	}
	kinds := []identity.Kind{}
	for _, k := range known {
		kinds = append(kinds, k.Kind)
		if k.Trust != identity.Claimed || k.Followed() {
			t.Errorf("%s is %s before anybody has proven anything", k.Kind, k.Trust)
		}
	}
	slices.Sort(kinds)
	if diff := cmp.Diff([]identity.Kind{"chat_id", "email", "name", "phone", "subject_id"}, kinds); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{a.id() + "-1"}, d.flow.names()); diff != "" {
		t.Error(diff)
	}
	if len(d.links("Ines.Planted@example.test")) != 1 {
		t.Errorf("links: %v", d.links("Ines.Planted@example.test"))
	}
	if got := d.log(a.id()); !slices.Contains(got, request.Open) {
		t.Errorf("log %v", got)
	}
	// What was checked by an operator is proven at once.
	id := d.opened(nil)
	r := d.get(id)
	if known, _ = d.store.Known(t.Context(), id); r.State != request.Locating || !r.Identity.Proven() || known[0].Trust != identity.Proven {
		t.Errorf("%+v %+v", r, known)
	}
	// A disclosure has no letters.
	d.ask("operator", "POST", "/requests", `{"type":"legal_disclosure","subject":{"email":"leo@example.test"},"authority":"A court","ground":"Art. 6(1)(c) GDPR"}`).want(200)
	if len(d.mail.to("leo@example.test")) != 0 {
		t.Error("a letter about a disclosure")
	}
}

func TestOpen_refuses(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	eleven := `{"type":"erasure","subjects":[` + strings.Repeat(`{"email":"a@example.test"},`, 10) + `{"email":"b@example.test"}],"identity":{"evidence":"x"}}`
	for name, tt := range map[string]struct {
		body  string
		field string
	}{
		"nothing":            {`{}`, "type"},
		"no person":          {`{"type":"erasure","identity":{"evidence":"x"}}`, "subject"},
		"empty person":       {`{"type":"erasure","subject":{},"identity":{"evidence":"x"}}`, "subject"},
		"a name alone":       {`{"type":"erasure","subject":{"name":"Ines"},"identity":{"evidence":"x"}}`, "subject"},
		"too many people":    {eleven, "subjects"},
		"several, export":    {`{"type":"access","subjects":[{"email":"a@example.test"},{"email":"b@example.test"}],"identity":{"evidence":"x"}}`, "subjects"},
		"wild card":          {`{"type":"erasure","subject":{"email":"*"},"identity":{"evidence":"x"}}`, "subject.email"},
		"wild card, domain":  {`{"type":"erasure","subject":{"email":"*@example.test"},"identity":{"evidence":"x"}}`, "subject.email"},
		"no local part":      {`{"type":"erasure","subject":{"email":"@example.test"},"identity":{"evidence":"x"}}`, "subject.email"},
		"everybody":          {`{"type":"erasure","subject":{"external_id":"Everybody"},"identity":{"evidence":"x"}}`, "subject.external_id"},
		"null as a text":     {`{"type":"erasure","subject":{"subject_id":"null"},"identity":{"evidence":"x"}}`, "subject.subject_id"},
		"per cent":           {`{"type":"erasure","subject":{"subject_id":"%"},"identity":{"evidence":"x"}}`, "subject.subject_id"},
		"star":               {`{"type":"erasure","subject":{"subject_id":"*"},"identity":{"evidence":"x"}}`, "subject.subject_id"},
		"signs only":         {`{"type":"erasure","subject":{"chat_id":"--"},"identity":{"evidence":"x"}}`, "subject.chat_id"},
		"wide letters":       {`{"type":"erasure","subject":{"external_id":"ＴＯＵＳ"},"identity":{"evidence":"x"}}`, "subject.external_id"},
		"wide star":          {`{"type":"erasure","subject":{"external_id":"＊"},"identity":{"evidence":"x"}}`, "subject.external_id"},
		"wide signs only":    {`{"type":"erasure","subject":{"subject_id":"－"},"identity":{"evidence":"x"}}`, "subject.subject_id"},
		"nothing to see":     {`{"type":"erasure","subject":{"subject_id":"\u200b\u202e"},"identity":{"evidence":"x"}}`, "subject.subject_id"},
		"white space":        {`{"type":"erasure","subject":{"chat_id":"  "},"identity":{"evidence":"x"}}`, "subject.chat_id"},
		"two lines":          {`{"type":"erasure","subject":{"chat_id":"a\nb"},"identity":{"evidence":"x"}}`, "subject.chat_id"},
		"national number":    {`{"type":"erasure","subject":{"phone":"0612345678"},"identity":{"evidence":"x"}}`, "subject.phone"},
		"too long":           {`{"type":"erasure","subject":{"subject_id":"` + strings.Repeat("x", 257) + `"},"identity":{"evidence":"x"}}`, "subject.subject_id"},
		"vendor's wild card": {`{"type":"erasure","subject":{"identifiers":[{"kind":"refdesk.user_id","value":"1*"}]},"identity":{"evidence":"x"}}`, "subject.identifiers[0]"},
		"vendor's kind":      {`{"type":"erasure","subject":{"identifiers":[{"kind":"../x","value":"1"}]},"identity":{"evidence":"x"}}`, "subject.identifiers[0]"},
		"unknown field":      {`{"type":"erasure","subjct":{}}`, "subjct"},
		"future":             {`{"type":"access","subject":{"email":"a@example.test"},"received":"2026-02-03T12:00:01Z"}`, "received"},
		"long ago":           {`{"type":"access","subject":{"email":"a@example.test"},"received":"2025-01-01T00:00:00Z"}`, "received"},
		"regime":             {`{"type":"access","subject":{"email":"a@example.test"},"regime":"lgpd"}`, "regime"},
		"residence":          {`{"type":"access","subject":{"email":"a@example.test"},"residence":"France"}`, "residence"},
		"language":           {`{"type":"access","subject":{"email":"a@example.test"},"language":"<b>"}`, "language"},
		"channel":            {`{"type":"access","subject":{"email":"a@example.test"},"channel":"pigeon"}`, "channel"},
		"no proof":           {`{"type":"access","subject":{"phone":"+33123456789"}}`, "identity.method"},
		"proof by nothing":   {`{"type":"access","subject":{"phone":"+33123456789"},"identity":{"method":"operator"}}`, "identity.evidence"},
		"mail to nobody":     {`{"type":"access","subject":{"phone":"+33123456789"},"identity":{"method":"email"}}`, "identity.method"},
		"recipient":          {`{"type":"portability","subject":{"email":"a@example.test"},"recipient":"a bank"}`, "recipient"},
		"two recipients":     {`{"type":"portability","subject":{"email":"a@example.test"},"recipient":"b@example.test,c@example.test"}`, "recipient"},
		"nothing to change":  {`{"type":"rectification","subject":{"email":"a@example.test"}}`, "changes"},
		"changes elsewhere":  {`{"type":"access","subject":{"email":"a@example.test"},"changes":[{"field":"name","new":"x"}]}`, "changes"},
		"disclosure":         {`{"type":"legal_disclosure","subject":{"email":"a@example.test"}}`, "authority"},
		"mandate":            {`{"type":"access","subject":{"email":"a@example.test"},"on_behalf_of":{"who":"A lawyer"}}`, "on_behalf_of.proof"},
		"preferences":        {`{"type":"access","subject":{"email":"a@example.test"},"preferences":["x"]}`, "preferences"},
	} {
		t.Run(name, func(t *testing.T) {
			a := d.ask("operator", "POST", "/requests", tt.body)
			a.t = t
			a.want(400).says(`"` + tt.field)
		})
	}
	if n := d.rows(""); n != 0 || len(d.flow.names()) != 0 {
		t.Errorf("%d rows, runs %v", n, d.flow.names())
	}
}

// The same key finds the same request, whatever was lost of the first call.
func TestOpen_idempotent(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	key := []string{"Idempotency-Key", "019c2331-c600-7000-8000-000000000001"} // of 2026-02-03T11:50Z
	body := `{"type":"access","subject":{"email":"` + ines + `"}}`
	first := d.ask("operator", "POST", "/requests", body, key...).want(200)
	again := d.instance().ask("operator", "POST", "/requests", `{"subject": {"email":"`+ines+`"}, "type":"access"}`, key...).want(200)
	if first.id() != again.id() || len(d.mail.to(ines)) != 1 {
		t.Errorf("%s, then %s, %d mails", first.id(), again.id(), len(d.mail.to(ines)))
	}
	d.ask("operator", "POST", "/requests", `{"type":"erasure","subject":{"email":"`+ines+`"}}`, key...).want(409).says("idempotency key")
	d.ask("operator", "POST", "/requests", body, "Idempotency-Key", "x").want(400).says("Idempotency-Key")
	d.ask("operator", "POST", "/requests", body, "Idempotency-Key", "01890000-0000-7000-8000-000000000001").want(400).says("clock")
	if n := d.rows("COUNTER"); len(slices.Compact(d.flow.names())) != 1 || n > 2 {
		t.Errorf("runs %v", d.flow.names())
	}
}

// A crash between the write and the start of the run, or of the letter, is
// repaired by the repetition of the same call.
func TestOpen_crash(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.flow.fails = fmt.Errorf("no answer")
	d.mail.fails = fmt.Errorf("no answer")
	key := []string{"Idempotency-Key", "019c2331-c600-7000-8000-000000000002"}
	body := `{"type":"access","subject":{"email":"` + ines + `"},"identity":{"evidence":"seen"}}`
	id := d.ask("operator", "POST", "/requests", body, key...).want(200).id()
	if r := d.get(id); len(d.flow.names()) != 0 || r.Next.IsZero() || r.Next.After(d.now.Add(time.Hour)) {
		t.Errorf("runs %v, sweep comes at %v", d.flow.names(), r.Next)
	}
	d.flow.fails = nil
	if again := d.ask("operator", "POST", "/requests", body, key...).want(200).id(); again != id || len(d.flow.names()) != 1 {
		t.Errorf("%s, runs %v", again, d.flow.names())
	}
}

// An objection says no in the ledger at once, on whatever grounds it is doubted
// later.
func TestOpen_objection(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.ask("operator", "POST", "/requests", `{"type":"objection","subject":{"email":"`+ines+`","subject_id":"cust-planted-881"}}`).want(200).id()
	if n := d.events(); n != 2 {
		t.Errorf("%d events", n)
	}
	d.ask("officer", "POST", "/requests/"+id+"/hold", `{"ground":"a claim","reason":"court"}`).want(200)
	if n := d.events(); n != 2 {
		t.Errorf("%d events", n)
	}
}

// An objection of whom an operator knows by a telephone number, or by an address
// in a chat, says no where answers by that are looked for; a number that nobody
// has checked, and what no subject follows from, says nothing.
func TestOpen_objectionByPhone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		subject, identity string
		events            int
		denied            bool
	}{
		"a number":            {`"phone":"+33 6 12 34 56 78"`, `{"method":"operator","evidence":"called back"}`, 1, true},
		"a number in a chat":  {`"identifiers":[{"kind":"wa.address","value":"+33612345678"}]`, `{"method":"operator","evidence":"called back"}`, 1, true},
		"a user of a chat":    {`"identifiers":[{"kind":"wa.address","value":"FR.1234567890"}]`, `{"method":"operator","evidence":"called back"}`, 1, false},
		"a customer number":   {`"external_id":"40012"`, `{"method":"operator","evidence":"called back"}`, 0, false},
		"an unproven number":  {`"phone":"+33612345678","email":"` + ines + `"`, `{"method":"email"}`, 1, false},
		"a number and a name": {`"phone":"+33612345678","name":"Ines Roy"`, `{"method":"operator","evidence":"called back"}`, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t)
			d.ask("operator", "POST", "/requests", `{"type":"objection","subject":{`+tt.subject+`},"identity":`+tt.identity+`}`).want(200)
			if n := d.events(); n != tt.events {
				t.Errorf("%d events, want %d", n, tt.events)
			}
			people := consent.NewPeople(dynamo.NewEvents(d.env.Config, d.env.Getenv("EVENTS_TABLE")), d.hasher)
			union, err := people.ByPhone(t.Context(), "shop", "+33612345678", time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			state := consent.Decide(union.Events, "newsletter", consent.View{Now: d.now.Add(time.Second)}, consent.Rules{})
			if (state.Reason == consent.Objected) != tt.denied {
				t.Errorf("decide by telephone: %+v", state)
			}
		})
	}
}

// A number that an operator checks later counts from then on, for what the person
// has named; what counted at the receipt is not said again.
func TestIdentify_objection(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.ask("operator", "POST", "/requests", `{"type":"objection","preferences":["ads"],"identity":{"method":"email"},"subject":{"email":"`+ines+`","phone":"+33612345678"}}`).want(200).id()
	for range 2 {
		d.ask("operator", "POST", "/requests/"+id+"/identity", `{"evidence":"called back","kinds":["email","phone"]}`).want(200)
	}
	if n := d.events(); n != 2 {
		t.Errorf("%d events, want that of the address and that of the number", n)
	}
	people := consent.NewPeople(dynamo.NewEvents(d.env.Config, d.env.Getenv("EVENTS_TABLE")), d.hasher)
	union, err := people.ByPhone(t.Context(), "shop", "+33612345678", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for preference, want := range map[string]consent.Reason{"ads": consent.Objected, "newsletter": consent.NeverAsked} {
		if state := consent.Decide(union.Events, preference, consent.View{Now: d.now.Add(time.Second)}, consent.Rules{}); state.Reason != want {
			t.Errorf("%s: %+v", preference, state)
		}
	}
}

// What an objection names reaches the systems after the approval: under the CCPA
// the sale, where nothing is named; else everything, which is no list.
func TestOpen_objectionNames(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for body, want := range map[string][]string{
		`"preferences":["newsletter","ads","newsletter"]`: {"ads", "newsletter"},
		`"regime":"ccpa"`: {"ads"}, `"regime":"gdpr"`: nil,
	} {
		id := d.ask("operator", "POST", "/requests", `{"type":"objection","subject":{"email":"`+ines+`"},`+body+`}`).want(200).id()
		p, err := d.store.Personal(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range p.Changes {
			if c.Field != ledger.FieldPreference {
				t.Errorf("%s: a field %s", body, c.Field)
			}
			got = append(got, c.New.Reveal())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the systems hear of %q, want %q", body, got, want)
		}
	}
}
