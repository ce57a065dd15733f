package zendeskmessaging_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/zendeskmessaging"
	"github.com/avow-consent/avow/internal/connector/zendeskmessaging/fake"
	"github.com/avow-consent/avow/internal/errs"
)

// The vendor's 429 says nothing of when to come back: pauses double, and half of
// each is left to chance.
func TestLimit_withoutHeaders(t *testing.T) {
	t.Parallel()
	for name, html := range map[string]bool{"JSON": false, "HTML": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := unheldInbox(t, fake.Options{})
			d.Fail(fakekit.Failure{Status: 429, HTML: html, Times: 3})
			d.locate(conformance.Person(company.Leo))
			if len(d.pauses) != 3 {
				t.Fatalf("pauses %v", d.pauses)
			}
			for i, pause := range d.pauses {
				longest := 200 * time.Millisecond << i
				if pause < longest/2 || pause > longest {
					t.Errorf("pause %d is %v, not between %v and %v", i, pause, longest/2, longest)
				}
			}
			d.Fail(fakekit.Failure{Status: 429, HTML: html})
			_, err := d.c.Locate(t.Context(), conformance.Person(company.Leo))
			if after, ok := connector.RetryAfter(err); !errs.Is(err, errs.Unavailable) || !ok || after <= 0 {
				t.Errorf("%v: later, and when", err)
			}
		})
	}
}

// Under a limit of the vendor's everything is done in the end, and no call is
// made again without a pause.
func TestLimit_isObeyed(t *testing.T) {
	t.Parallel()
	d := unheldInbox(t, fake.Options{PerMinute: 15})
	s := conformance.Person(company.Ines)
	for {
		f, err := d.c.Locate(t.Context(), s)
		if err == nil {
			s.Identifiers = append(s.Identifiers, f.Identifiers...)
			break
		}
		if !errs.Is(err, errs.Unavailable) {
			t.Fatal(err)
		}
		d.Advance(time.Minute)
	}
	d.erase(s)
	if n, _ := left(d.State(), ids(s.Identifiers, "user_id")...); n != 0 {
		t.Errorf("%d messages are left", n)
	}
	// Four attempts have three pauses between them; then the engine waits.
	if beyond, paused := d.Beyond(), len(d.pauses); beyond == 0 || 3*beyond > 4*paused+3 {
		t.Errorf("%d calls beyond the limit, %d pauses", beyond, paused)
	}
}

// 423: a conversation is full, or locked. A person must look.
func TestErase_locked(t *testing.T) {
	t.Parallel()
	d := unheldInbox(t, fake.Options{})
	s := d.located(conformance.Person(company.Ines))
	d.Fail(fakekit.Failure{Method: "DELETE", Route: "/conversations/{id}/messages/{one}", Status: 423})
	call := connector.Call{Operation: connector.Erase, Subject: s}
	if _, err := d.drive(call); !errs.Is(err, errs.Conflict) {
		t.Fatalf("%v", err)
	}
	if r := d.verify(s); r.Counts["users"] != 1 {
		t.Errorf("the user went before the conversation: %+v", r)
	}
	d.Mend()
	call.Again = true
	if p, err := d.drive(call); err != nil || !p.Done {
		t.Errorf("%+v, %v", p, err)
	}
	if r := d.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// A week without the vendor is survived, wherever it begins.
func TestErase_vendorDown(t *testing.T) {
	t.Parallel()
	d := unheldInbox(t, fake.Options{})
	s := d.located(conformance.Person(company.Ines))
	call := connector.Call{Operation: connector.Erase, Subject: s, Now: d.Now()}
	p, err := d.c.Start(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	d.Fail(fakekit.Failure{Status: 503})
	call.Handle = p.Handle
	for range 7 {
		d.Advance(24 * time.Hour)
		if _, err := d.c.Poll(t.Context(), call); !errs.Is(err, errs.Unavailable) {
			t.Fatalf("%v", err)
		}
	}
	d.Mend()
	for !p.Done {
		call.Handle = p.Handle
		if p, err = d.c.Poll(t.Context(), call); err != nil {
			t.Fatal(err)
		}
		d.Advance(time.Hour)
	}
	if r := d.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// Replaced credentials work without a restart; wrong ones are a matter for a
// person, and no error names them.
func TestCredentials_replaced(t *testing.T) {
	t.Parallel()
	d := unheldInbox(t, fake.Options{})
	s := d.located(conformance.Person(company.Ines))
	call := connector.Call{Operation: connector.Erase, Subject: s}
	p, err := d.c.Start(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	d.SetSecret("another")
	call.Handle = p.Handle
	if _, err := d.c.Poll(t.Context(), call); !errs.Is(err, errs.Forbidden) || strings.Contains(err.Error(), fake.Secret) {
		t.Errorf("%v", err)
	}
	d.secret = `{"client_id":"` + fake.ID + `","client_secret":"another"}`
	if _, err := d.c.Poll(t.Context(), call); err != nil {
		t.Errorf("%v", err)
	}
	d.secret = "not JSON"
	if _, err := d.c.Poll(t.Context(), call); !errs.Is(err, errs.Forbidden) {
		t.Errorf("%v", err)
	}
}

// Lists that never end, and links to other hosts.
func TestPages_hostile(t *testing.T) {
	t.Parallel()
	d := unheldInbox(t, fake.Options{})
	ines := d.Find(company.Ines)
	s := connector.Subject{Identifiers: conformance.Person(company.Ines).Identifiers}
	for name, tt := range map[string]struct {
		meta string
		want errs.Kind
	}{
		"no cursor":    {`"meta":{"hasMore":true}`, errs.Internal},
		"a circle":     {`"meta":{"hasMore":true,"afterCursor":"67a0ffffffffffffffffffff"}`, errs.Internal},
		"another host": {`"meta":{"hasMore":false},"links":{"next":"https://badhost.example.test/steal"}`, ""},
		"no meta":      {`"links":{}`, ""},
	} {
		d.c = d.connect(say{conformance.Local(d.Server), func(r *http.Request) (int, string) {
			if r.URL.Host != "example.zendesk.com" {
				t.Errorf("%s: a call of %s", name, r.URL.Host)
			}
			if strings.HasSuffix(r.URL.Path, "/conversations") {
				return 200, `{"conversations":[],` + tt.meta + `}`
			}
			return 0, ""
		}})
		f, err := d.c.Locate(t.Context(), s)
		if tt.want == "" && (err != nil || ids(f.Identifiers, "user_id")[0] != ines) || tt.want != "" && !errs.Is(err, tt.want) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// say answers some calls itself.
type say struct {
	next http.RoundTripper
	what func(*http.Request) (int, string)
}

func (v say) RoundTrip(r *http.Request) (*http.Response, error) {
	if status, body := v.what(r); status != 0 {
		return answer(r, status, body), nil
	}
	return v.next.RoundTrip(r)
}

func TestNew_refuses(t *testing.T) {
	t.Parallel()
	d := unheldInbox(t, fake.Options{})
	fine := settings("")
	for config, want := range map[string]string{
		``: "config.app_id must be",
		strings.Replace(fine, "https:", "http:", 1):            "must begin with https://",
		strings.Replace(fine, "https://", "https://u:p@", 1):   "base_url is no address",
		strings.Replace(fine, fake.App, "a/b", 1):              "config.app_id must be",
		strings.Replace(fine, `"support"}`, `"messaging"}`, 1): "config.support must name",
		settings(`,"erase":"all"`):                             "config.erase must be user or personal_information",
		settings(`,"erase":"personal_information"`):            "config.ground must say",
		settings(`,"groups":"keep","ground":" "`):              "config.ground must say",
		settings(`,"groups":"delete"`):                         "config.groups must be own or keep",
		settings(`,"attachments":"none"`):                      "config.attachments must be all or person",
		settings(`,"object_tag":"avow_restricted"`):            "config.restrict_tag and object_tag must be two keys",
		settings(`,"restrict_tag":"a.b"`):                      "config.restrict_tag and object_tag must be two keys",
		settings(`,"brands":["9 or 1"]`):                       "config.brands must be",
		settings(`,"tags":[]`):                                 `unknown field "tags"`,
		strings.Replace(fine, `"`+fake.App+`"`, "5", 1):        "config.app_id must not be a number",
	} {
		o := d.options(nil)
		o.Config = json.RawMessage(config)
		if _, err := zendeskmessaging.New(o); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `system "messaging"`) {
			t.Errorf("%s: %v", config, err)
		}
	}
}

func TestInventory(t *testing.T) {
	t.Parallel()
	d := unheldInbox(t, fake.Options{})
	i := d.c.Inventory()
	for _, op := range []connector.Operation{connector.Export, connector.Rectify, connector.Erase, connector.Restrict, connector.Object} {
		if !i.Can(op) {
			t.Errorf("it cannot %s", op)
		}
	}
	if _, err := d.c.Start(t.Context(), connector.Call{Operation: connector.Tell}); !errs.Is(err, errs.Internal) {
		t.Errorf("%v", err)
	}
	if _, ok := d.c.After()["zendesk-chat"]; !ok || len(i.Data) == 0 || len(i.Backups) != 2 {
		t.Errorf("%+v", i)
	}
	if _, err := d.c.Poll(t.Context(), connector.Call{Operation: connector.Erase, Handle: "no handle"}); !errs.Is(err, errs.Internal) {
		t.Errorf("%v", err)
	}
}

// Whatever the vendor answers, nothing breaks, no list that is not read looks
// complete, and no error quotes it.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		"", "null", "[]", "{}", `{"user":null}`, `{"user":{"id":"aaaaaaaaaaaaaaaaaaaaaaaa"},"users":[{"id":"x","identities":[{"type":"email","value":"leo@example.test","verification":"sso"}]}]}`,
		`{"user":{"id":"aaaaaaaaaaaaaaaaaaaaaaaa"},"messages":[{"id":"m","content":{"type":"file","mediaUrl":"https://x/%zz"}},{"id":"n","content":7}],"meta":{"hasMore":true}}`,
		`{"conversations":[{"id":"","type":"personal"}],"clients":[{"type":"whatsapp","externalId":"331"}],"devices":[7],"participants":[{}]}`,
		`{"messages":[{"id":"a","content":{"type":"image","mediaUrl":"x","altText":"../../etc"}}],"meta":{"hasMore":false}}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := unheldInbox(t, fake.Options{Empty: true})
		d.c = d.connect(say{nil, func(r *http.Request) (int, string) { return 200, text }})
		s := conformance.Person(company.Leo)
		s.Identifiers = append(s.Identifiers, conformance.By("messaging.user_id", strings.Repeat("a", 24)), conformance.By("messaging.conversation_id", "c"))
		quiet := func(err error) {
			if err != nil && len(text) > 12 && strings.Contains(err.Error(), text) {
				t.Fatalf("%v quotes", err)
			}
		}
		_, err := d.c.Locate(t.Context(), s)
		quiet(err)
		_, err = d.c.Verify(t.Context(), connector.Call{Subject: s})
		quiet(err)
		for _, op := range []connector.Operation{connector.Export, connector.Erase, connector.Rectify} {
			out := &conformance.Recorder{}
			call := connector.Call{Operation: op, Subject: s, Out: out, Changes: []connector.Change{{Field: "last_name", New: "x"}}}
			p, err := d.c.Start(t.Context(), call)
			for n := 0; n < 5 && err == nil && !p.Done && p.Ask == nil; n++ {
				call.Handle = p.Handle
				p, err = d.c.Poll(t.Context(), call)
			}
			quiet(err)
			for name := range out.Files {
				if slices.Contains(strings.Split(name, "/"), "..") {
					t.Fatalf("a file is called %q", name)
				}
			}
		}
	})
}

// Any handle is read or refused.
func FuzzHandle(f *testing.F) {
	for _, text := range []string{"", "{}", `{"stage":"users"}`, `{"stage":"purged","users":[]}`, `{"stage":"conversations","users":["x"],"queue":[{"id":"c","shared":true}]}`, `{"ready":[{}]}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := unheldInbox(t, fake.Options{Empty: true})
		for _, op := range []connector.Operation{connector.Export, connector.Erase} {
			_, _ = d.c.Poll(t.Context(), connector.Call{Operation: op, Handle: text, Out: &conformance.Recorder{}})
		}
	})
}
