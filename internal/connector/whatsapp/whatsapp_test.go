package whatsapp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/whatsapp"
	"github.com/avow-consent/avow/internal/connector/whatsapp/fake"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

const address identity.Kind = "whatsapp.address"

// office is Avow's side: the table of messages, one site for each world.
type office struct {
	*world
	t      testing.TB
	env    *awstest.Env
	store  *dynamo.Messages
	hasher *pseudonym.Hasher
	site   string
	block  bool
}

var sites atomic.Int64

func newOffice(t testing.TB, env *awstest.Env) *office {
	t.Helper()
	hasher, err := pseudonym.New([]byte(strings.Repeat("a", 32)))
	if err != nil {
		t.Fatal(err)
	}
	o := &office{world: newWorld(t, fake.Options{}), t: t, env: env, hasher: hasher, site: fmt.Sprintf("shop-%d", sites.Add(1))}
	o.store = dynamo.NewMessages(env.Config, env.Getenv("MESSAGES_TABLE"), o.Now)
	return o
}

func (o *office) connect(transport http.RoundTripper) (*whatsapp.Connector, error) {
	s := o.system(transport)
	config := strings.Replace(conf, `"shop"`, `"`+o.site+`"`, 1)
	if o.block {
		config = strings.Replace(config, `{`, `{"block":true,`, 1)
	}
	s.Config = json.RawMessage(config)
	return whatsapp.New(s, o.store, o.hasher)
}

func (o *office) connector() *whatsapp.Connector {
	o.t.Helper()
	c, err := o.connect(o.wire)
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

func (o *office) kin(a redact.String) chat.Kin { return chat.KinOf(o.hasher, o.site, "whatsapp", a) }

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

const userID = redact.String("FR.1001x")

// written makes a person who has written three times, twice with a file, of which
// one is gone at Meta, and was answered once.
func (o *office) written() {
	o.t.Helper()
	ctx, now := o.t.Context(), o.Now()
	o.Send(ines.Reveal(), "image", "picture")
	for _, a := range []redact.String{ines, userID} {
		o.must(o.store.Meet(ctx, chat.Contact{Person: o.kin(a).Person, Phone: ines, UserID: userID, Language: "fr", LastIn: now, Expires: now.Add(time.Hour)}))
	}
	for id, media := range map[string]redact.String{"a": "", "b": "1001", "c": "999"} {
		o.must(o.store.Keep(ctx, chat.Incoming{Person: o.kin(ines).Person, Message: id, At: now, Type: "image", Media: media, Expires: now.Add(time.Hour)}))
	}
	out := chat.Outgoing{Person: o.kin(ines).Person, ID: "out", Purpose: chat.Stopped, System: "whatsapp", To: ines, Language: "fr", At: now, Sent: now, State: chat.Sent, Message: "wamid.x", Expires: now.Add(time.Hour)}
	o.must(o.store.Note(ctx, out))
	o.must(o.store.Bind(ctx, out, "hash"))
	o.must(o.store.Settle(ctx, out))
}

func (o *office) rows(a redact.String) []string {
	o.t.Helper()
	rows, _, err := o.store.Rows(o.t.Context(), o.kin(a).Person, "", 1000)
	o.must(err)
	var list []string
	for _, r := range rows {
		list = append(list, r.Entry)
	}
	return list
}

func by(kind identity.Kind, value redact.String, trust identity.Trust) identity.Identifier {
	return identity.Identifier{Kind: kind, Value: value, Trust: trust}
}

func subject(list ...identity.Identifier) connector.Subject {
	return connector.Subject{Identifiers: list}
}

// drive takes an operation to its end.
func (o *office) drive(c *whatsapp.Connector, call connector.Call) connector.Progress {
	o.t.Helper()
	p, err := conformance.Driver{Connector: c, Clock: o, Steps: 500}.Drive(o.t, call)
	o.must(err)
	return p
}

// The connector under every fault of every call to Meta.
func TestConformance(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	conformance.Run(t, func(t testing.TB) *conformance.World {
		o := newOffice(t, env)
		o.block = true
		o.written()
		return &conformance.World{
			Vendor:  conformance.Local(o.Server),
			Connect: func(r http.RoundTripper) (connector.Connector, error) { return o.connect(r) },
			Subject: subject(by(address, ines, identity.Proven)), Now: o.Now, Advance: o.Advance,
			State: func() any {
				reasons, err := o.store.Silenced(t.Context(), o.kin(ines).Silence)
				o.must(err)
				blocked, err := o.client.Blocked(context.Background(), ines)
				o.must(err)
				return map[string]any{"rows": append(o.rows(ines), o.rows(userID)...), "silent": reasons, "blocked": blocked, "media": o.has("1001")}
			},
			Harm: func() []string { return o.sent() },
		}
	})
}

// has reports whether Meta has a file.
func (o *office) has(id redact.String) bool {
	_, err := o.client.Media(context.Background(), id)
	return err == nil
}

// sent are the messages that were sent: none twice.
func (o *office) sent() (list []string) {
	for _, c := range o.Calls() {
		if c.Applied && c.Route == "/{number}/messages" {
			list = append(list, c.Method+" "+c.Path)
		}
	}
	return list
}

func TestLocate(t *testing.T) {
	t.Parallel()
	o := newOffice(t, awstest.New(t))
	o.written()
	c := o.connector()
	f, err := c.Locate(t.Context(), subject(by(address, "+33 6 55 00 01 01", identity.Proven)))
	o.must(err)
	if diff := cmp.Diff(map[string]int{"contacts": 1, "messages_received": 3, "messages_sent": 1, "files": 2}, f.Counts); diff != "" {
		t.Error(diff)
	}
	if len(f.Identifiers) != 1 || f.Identifiers[0].Value != userID || !f.Identifiers[0].Followed() || f.Identifiers[0].System != "whatsapp" {
		t.Errorf("the user id of the same account is hers: %+v", f.Identifiers)
	}
	// A telephone number from elsewhere finds a candidate, never her.
	f, err = c.Locate(t.Context(), subject(by(identity.Phone, ines, identity.Company)))
	o.must(err)
	if len(f.Counts) != 0 || len(f.Identifiers) != 0 || len(f.Candidates) != 1 || f.Candidates[0].Identifier.Value != ines || f.Candidates[0].Identifier.Kind != address {
		t.Errorf("%+v", f)
	}
	for name, s := range map[string]connector.Subject{
		"nobody": subject(by(address, nobody, identity.Proven), by(identity.Phone, nobody, identity.Company)), "a number that is none": subject(by(identity.Phone, "12", identity.Company)),
		"another site": {Site: "other", Identifiers: []identity.Identifier{by(address, ines, identity.Proven), by(identity.Phone, ines, identity.Company)}},
	} {
		f, err := c.Locate(t.Context(), s)
		if err != nil || len(f.Counts)+len(f.Identifiers)+len(f.Candidates) != 0 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	o := newOffice(t, awstest.New(t))
	o.written()
	out := &conformance.Recorder{Records: map[string][]string{}, Files: map[string]int64{}}
	before := len(o.Calls())
	p := o.drive(o.connector(), connector.Call{Operation: connector.Export, Subject: subject(by(address, ines, identity.Proven), by(address, userID, identity.Vendor)), Out: out})
	if diff := cmp.Diff(map[string]int{"contacts": 2, "messages_received": 3, "messages_sent": 1, "files": 2}, p.Counts); diff != "" {
		t.Error(diff)
	}
	if len(out.Records["messages_received"]) != 3 || len(out.Records["contacts"]) != 2 || len(out.Files) != 1 {
		t.Errorf("%v, %v", out.Records, out.Files)
	}
	all := strings.Join(out.Records["messages_received"], "")
	if !strings.Contains(all, `"1001.png"`) || !strings.Contains(all, `"gone"`) {
		t.Errorf("%s", all)
	}
	calls := len(o.Calls()) - before
	t.Logf("%d calls to Meta for an export with two files", calls)
	if calls != 3 {
		t.Errorf("%d calls", calls)
	}
}

func TestErase(t *testing.T) {
	t.Parallel()
	o := newOffice(t, awstest.New(t))
	o.written()
	_, err := o.store.Silence(t.Context(), o.kin(ines).Silence, chat.ByPerson, true, o.Now(), "x")
	o.must(err)
	c := o.connector()
	whole := subject(by(address, ines, identity.Proven), by(address, userID, identity.Vendor))
	before := len(o.Calls())
	p := o.drive(c, connector.Call{Operation: connector.Erase, Subject: whole})
	if diff := cmp.Diff(map[string]int{"contacts": 2, "messages_received": 3, "messages_sent": 1, "files": 1}, p.Counts); diff != "" {
		t.Errorf("a file that was gone before was not deleted by us: %s", diff)
	}
	calls := len(o.Calls()) - before
	t.Logf("%d calls to Meta for an erasure with two files", calls)
	if calls != 3 {
		t.Errorf("%d calls", calls)
	}
	if len(o.rows(ines))+len(o.rows(userID)) != 0 || o.has("1001") {
		t.Errorf("%v", o.rows(ines))
	}
	if reasons, err := o.store.Silenced(t.Context(), o.kin(ines).Silence); len(reasons) == 0 || err != nil {
		t.Errorf("silence must outlive an erasure: %v, %v", reasons, err)
	}
	kept := fmt.Sprint(p.Kept)
	if len(p.Kept) != 2 || !strings.Contains(kept, "2026-05-05") || !strings.Contains(kept, "silence") {
		t.Errorf("%s", kept)
	}
	text := fmt.Sprintf("%+v %+v", p.Evidence, p.Kept)
	if strings.Contains(text, "1001") || strings.Contains(text, "336") {
		t.Errorf("personal data in the evidence: %s", text)
	}
	if res, err := c.Verify(t.Context(), connector.Call{Subject: whole}); err != nil || len(res.Counts) != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	// What comes later is found later.
	o.must(o.store.Keep(t.Context(), chat.Incoming{Person: o.kin(ines).Person, Message: "z", At: o.Now(), Expires: o.Now().Add(time.Hour)}))
	if res, err := c.Verify(t.Context(), connector.Call{Subject: whole}); err != nil || res.Counts["messages_received"] != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}

// More files than one call deletes, and more rows than one page holds.
func TestErase_inPieces(t *testing.T) {
	t.Parallel()
	o := newOffice(t, awstest.New(t))
	person := o.kin(ines).Person
	for i := range 130 {
		m := chat.Incoming{Person: person, Message: fmt.Sprintf("%03d", i), At: o.Now(), Expires: o.Now().Add(time.Hour)}
		if i < 25 {
			o.Send(ines.Reveal(), "image", "x")
			m.Media = redact.String(fmt.Sprint(1001 + 2*i)) // its message takes the number between
		}
		o.must(o.store.Keep(t.Context(), m))
	}
	p := o.drive(o.connector(), connector.Call{Operation: connector.Erase, Subject: subject(by(address, ines, identity.Proven))})
	if diff := cmp.Diff(map[string]int{"messages_received": 130, "files": 25}, p.Counts); diff != "" {
		t.Error(diff)
	}
	out := &conformance.Recorder{Records: map[string][]string{}, Files: map[string]int64{}}
	if p := o.drive(o.connector(), connector.Call{Operation: connector.Export, Subject: subject(by(address, ines, identity.Proven)), Out: out}); len(p.Counts) != 0 {
		t.Errorf("%v", p.Counts)
	}
}

func TestObject(t *testing.T) {
	t.Parallel()
	o := newOffice(t, awstest.New(t))
	o.block = true
	o.Write(ines.Reveal(), "hi")
	for range 2 {
		p := o.drive(o.connector(), connector.Call{Operation: connector.Object, Key: "k", Subject: subject(by(address, ines, identity.Proven))})
		if p.Counts["addresses"] != 1 || len(p.Evidence) != 1 {
			t.Errorf("%+v", p)
		}
	}
	reasons, err := o.store.Silenced(t.Context(), o.kin(ines).Silence)
	o.must(err)
	if blocked, err := o.client.Blocked(t.Context(), ines); len(reasons) == 0 || !blocked || err != nil {
		t.Errorf("silent %v, blocked %v, %v", reasons, blocked, err)
	}
}

// While Meta is down nothing is lost, and a wrong token is a matter for a person.
func TestErase_vendorDown(t *testing.T) {
	t.Parallel()
	o := newOffice(t, awstest.New(t))
	o.written()
	c := o.connector()
	call := connector.Call{Operation: connector.Erase, Subject: subject(by(address, ines, identity.Proven)), Now: o.Now()}
	for _, html := range []bool{false, true} {
		o.Fail(fakekit.Failure{Status: 503, HTML: html})
		if _, err := c.Start(t.Context(), call); !errs.Is(err, errs.Unavailable) {
			t.Errorf("%v", err)
		}
		o.Mend()
	}
	o.SetToken("another")
	if _, err := c.Start(t.Context(), call); !errs.Is(err, errs.Forbidden) {
		t.Errorf("%v", err)
	}
	o.secret = `{"access_token":"another"}`
	if n := len(o.rows(ines)); n != 6 {
		t.Errorf("%d rows", n)
	}
	if p := o.drive(c, call); p.Counts["files"] != 1 {
		t.Errorf("%+v", p)
	}
}

// It is the last that goes.
func TestAfter(t *testing.T) {
	t.Parallel()
	after := newOffice(t, awstest.New(t)).connector().After()
	for _, kind := range []string{"ledger", "zoom", "salesforce", "zendesk-support"} {
		if after[kind] == "" {
			t.Errorf("before %s", kind)
		}
	}
	i := newOffice(t, awstest.New(t)).connector().Inventory()
	if !slices.Contains(i.Does, connector.Erase) || !strings.Contains(i.Backups.In("en"), "30 days") || len(i.Data) == 0 {
		t.Errorf("%+v", i)
	}
}

func FuzzHandle(f *testing.F) {
	f.Add(`{"done":0,"batch":[{"entry":"IN#a","media":""}]}`)
	f.Add(`{"done":-1}`)
	f.Add(`{"done":9,"after":"x"}`)
	env := awstest.New(f)
	f.Fuzz(func(t *testing.T, handle string) {
		o := newOffice(t, env)
		for _, op := range []connector.Operation{connector.Erase, connector.Export} {
			_, _ = o.connector().Poll(t.Context(), connector.Call{
				Operation: op, Handle: handle, Subject: subject(by(address, ines, identity.Proven)), Now: o.Now(), Out: &conformance.Recorder{Records: map[string][]string{}},
			})
		}
	})
}
