package zendeskchat_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/zendeskchat"
	"github.com/avow-consent/avow/internal/connector/zendeskchat/fake"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// Parts of an e-mail match: only what is equal in normal form is hers. Her chat
// without an e-mail is a candidate.
func TestLocate(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	f := a.locate(person(conformance.By(identity.Email, strings.ToUpper(company.Ines))))
	if diff := cmp.Diff(map[string]int{"chats": 6}, f.Counts); diff != "" {
		t.Error(diff)
	}
	nameless := a.Find("")
	if len(f.Candidates) != 1 || !slices.Contains(nameless, f.Candidates[0].Identifier.Value.Reveal()) {
		t.Fatalf("candidates %v of %v", ids(f.Candidates), nameless)
	}
	if got := f.Candidates[0]; got.Identifier.Kind != "chat.chat_id" || got.Evidence != "the visitor of the chat has the same telephone number and has given no e-mail" {
		t.Errorf("%+v", got)
	}
	if len(f.Identifiers) != 0 || len(f.Notes) != 0 {
		t.Errorf("%+v", f)
	}
	if f = a.locate(person(conformance.By(identity.Email, "nobody@example.test"))); len(f.Counts)+len(f.Candidates)+len(f.Notes) != 0 {
		t.Errorf("nobody: %+v", f)
	}
}

// Two people with one telephone: each of them is the other's candidate, never
// the other.
func TestLocate_sharedPhone(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	f := a.locate(person(conformance.By(identity.Email, company.Leo)))
	if f.Counts["chats"] != 1 || len(f.Candidates) != 1 || f.Candidates[0].Evidence != "the visitor of the chat has the same telephone number, and another e-mail" {
		t.Errorf("%+v", f)
	}
	if diff := cmp.Diff(a.Find(company.Mo), ids(f.Candidates)); diff != "" {
		t.Error(diff)
	}
	f = a.locate(person(conformance.By(identity.Phone, "0033 1 99 00 11 22"))) // accepted by an operator
	if len(f.Counts) != 0 || len(f.Candidates) != 2 {
		t.Errorf("by telephone only: %+v", f)
	}
}

// A visitor without e-mail is found by the id of a chat: of the request, or of a
// ticket in Support. What the visitor has typed there is hearsay.
func TestLocate_visitorWithoutEmail(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	id := a.AddChat(fake.Chat{Visitor: fake.Visitor{Name: "Visitor 77"}})
	for _, kind := range []identity.Kind{identity.ChatID, "zendesk.chat_id", "chat.chat_id"} {
		s := person(conformance.By(kind, id))
		f := a.locate(s)
		if f.Counts["chats"] != 1 || len(f.Candidates) != 0 {
			t.Errorf("%s: %+v", kind, f)
		}
		if yields := len(f.Identifiers) == 1 && f.Identifiers[0].Kind == "chat.chat_id"; yields != (kind == identity.ChatID) {
			t.Errorf("%s yields %+v", kind, f.Identifiers)
		}
	}
	for name, s := range map[string]connector.Subject{
		"another account's id": person(conformance.By("other.chat_id", id)), "a chat elsewhere": person(conformance.By(identity.ChatID, "wa-77")),
		"no id at all": person(conformance.By(identity.ChatID, "a,b/../c d")), "dots": person(conformance.By(identity.ChatID, "..")),
	} {
		if f := a.locate(s); len(f.Counts) != 0 {
			t.Errorf("%s: %+v", name, f)
		}
	}
	typed := a.AddChat(fake.Chat{Visitor: fake.Visitor{Name: "Visitor 78", Email: "typed@example.test"}})
	f := a.locate(person(conformance.By("zendesk.chat_id", typed)))
	if len(f.Candidates) != 1 || f.Candidates[0].Identifier.Kind != identity.Email || f.Counts["chats"] != 1 {
		t.Errorf("what a visitor has typed is not followed: %+v", f)
	}
}

// A name finds chats of visitors without e-mail, and puts no more of them to
// people than they can judge.
func TestLocate_name(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{Empty: true}, "")
	for i := range 50 {
		a.AddChat(fake.Chat{Visitor: fake.Visitor{Name: "Ada Novak"}, Timestamp: start.Add(-time.Duration(i) * time.Hour)})
	}
	a.AddChat(fake.Chat{Visitor: fake.Visitor{Name: "Ada Novak", Email: "other@example.test"}})
	a.AddChat(fake.Chat{Visitor: fake.Visitor{Name: "Ada Novak-Roy"}})
	a.AddChat(fake.Chat{Visitor: fake.Visitor{Name: `Ada" OR visitor_email:"`}})
	a.Advance(fake.IndexLag)
	f := a.locate(person(conformance.By(identity.Name, "ADA novak")))
	if len(f.Counts) != 0 || len(f.Candidates) != 20 || len(f.Notes) != 1 || !strings.Contains(f.Notes[0], "at least 30 more chats") {
		t.Errorf("%d candidates, %v", len(f.Candidates), f.Notes)
	}
	f = a.locate(person(conformance.By(identity.Name, `Ada" OR visitor_email:"`)))
	if len(f.Candidates) != 1 {
		t.Errorf("a name that looks like a query: %+v", f)
	}
}

// All that the vendor has of a chat is exported, with its attachments; addresses
// of files are not, and no other host gets the token.
func TestExport(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	out := &conformance.Recorder{}
	p, err := a.drive(connector.Call{Operation: connector.Export, Subject: ines(), Out: out})
	if err != nil || !p.Done {
		t.Fatalf("%+v, %v", p, err)
	}
	if diff := cmp.Diff(map[string]int{"chats": 6, "files": 2}, p.Counts); diff != "" {
		t.Error(diff)
	}
	if len(out.Records["chat"]) != 5 || len(out.Records["offline_message"]) != 1 || len(out.Files) != 2 {
		t.Fatalf("%d chats, %d offline messages, %v", len(out.Records["chat"]), len(out.Records["offline_message"]), out.Files)
	}
	all := strings.Join(append(out.Records["chat"], out.Records["offline_message"]...), "\n")
	for _, want := range []string{
		`"ip":"192.0.2.10"`, `"user_agent":"Mozilla/5.0 (X11; Linux)"`, `"webpath":[{`, `"rating":"good"`, `"comment":"quick `, `"city":"Lyon"`, `"zendesk_ticket_id":83`,
		`"message":"Are you there on Sundays?`, `"msg":"Where is my parcel?"`, `"agent_names":["Lou Agent"]`, `"file":"chats/`, `"notes":""`, `"avg":4.5`, `"duration":600`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("there is no %s", want)
		}
	}
	if strings.Contains(all, "_files") || strings.Contains(all, "sig=") {
		t.Error("the address of a file is exported")
	}
	for _, c := range a.Calls() {
		if c.Route == "LEAKED TOKEN" {
			t.Error("the host of the files got the token")
		}
	}
}

// Files that are gone, have hostile names or lie where Avow must not go leave
// the rest of the export alone.
func TestExport_files(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{Empty: true}, "")
	id := a.AddChat(fake.Chat{Visitor: fake.Visitor{Name: "Leo", Email: company.Leo}})
	a.AddFile(id, "../../etc/passwd\x00", "text/plain", "x", 10)
	a.DropFile(a.AddFile(id, "gone.pdf", "application/pdf", "x", 10))
	a.AddFile(id, "", "", "x", 10)
	a.Advance(fake.IndexLag)
	a.c = a.connect(rewriting{a.contract, func(path, body string) string {
		return strings.Replace(body, `"type":"chat.memberjoin"`, `"type":"chat.file"`, 1)
	}}, "")
	out := &conformance.Recorder{}
	p, err := a.drive(connector.Call{Operation: connector.Export, Subject: person(conformance.By(identity.Email, company.Leo)), Out: out})
	if err != nil || p.Counts["files"] != 2 || p.Counts["unavailable_files"] != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, name := range []string{"chats/" + id + "/1 passwd_", "chats/" + id + "/3 file"} {
		if out.Files[name] != 10 {
			t.Errorf("there is no %q in %v", name, out.Files)
		}
	}
	if !strings.Contains(out.Records["chat"][0], `"unavailable":"not_found"`) {
		t.Errorf("%s", out.Records["chat"][0])
	}
	a.c = a.connect(rewriting{conformance.Local(a.Server), func(path, body string) string {
		return strings.ReplaceAll(body, "https://files.zopim.test/", "http://169.254.169.254/")
	}}, "")
	p, err = a.drive(connector.Call{Operation: connector.Export, Subject: person(conformance.By(identity.Email, company.Leo)), Out: out})
	if err != nil || p.Counts["files"] != 0 || p.Counts["unavailable_files"] != 3 || p.Counts["chats"] != 1 {
		t.Errorf("inside a private network: %+v, %v", p, err)
	}
}

// What another host refuses is missing; a refusal of the vendor's own host is a
// matter of credentials or rights, and no export goes out without its files.
func TestExport_fileRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		host   string
		status int
		fails  errs.Kind
	}{
		"forbidden elsewhere": {"https://files.zopim.test/", 403, ""}, "forbidden": {"https://example.zendesk.com/", 403, errs.Forbidden},
		"refused": {"https://example.zendesk.com/", 401, errs.Forbidden}, "gone": {"https://example.zendesk.com/", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t, fake.Options{Empty: true}, "")
			a.AddFile(a.AddChat(fake.Chat{Visitor: fake.Visitor{Name: "Leo", Email: company.Leo}}), "a.pdf", "application/pdf", "x", 10)
			a.Advance(fake.IndexLag)
			a.c = a.connect(withheld{rewriting{conformance.Local(a.Server), func(_, body string) string {
				return strings.ReplaceAll(body, "https://files.zopim.test/", tt.host)
			}}, tt.status}, "")
			p, err := a.drive(connector.Call{Operation: connector.Export, Subject: person(conformance.By(identity.Email, company.Leo)), Out: &conformance.Recorder{}})
			if tt.fails != "" && !errs.Is(err, tt.fails) || tt.fails == "" && (err != nil || p.Counts["unavailable_files"] != 1) {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

// withheld answers requests for files itself.
type withheld struct {
	next   http.RoundTripper
	status int
}

func (f withheld) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(r.URL.Path, "/_files/") {
		return f.next.RoundTrip(r)
	}
	return &http.Response{StatusCode: f.status, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// A chat that is known by its id and found by its e-mail is one chat.
func TestExport_once(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	s := ines()
	for _, id := range a.Find(company.Ines) {
		s.Identifiers = append(s.Identifiers, conformance.By("chat.chat_id", id), conformance.By("zendesk.chat_id", id))
	}
	if f := a.locate(s); f.Counts["chats"] != 6 {
		t.Errorf("%+v", f)
	}
	for _, op := range []connector.Operation{connector.Export, connector.Erase} {
		if p := a.operate(op, s); p.Counts["chats"] != 6 {
			t.Errorf("%s: %+v", op, p)
		}
	}
}

// Transcripts that are too long to be read at once are read in smaller parts.
func TestExport_longTranscripts(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{Empty: true}, "")
	for range 5 {
		a.AddChat(fake.Chat{Visitor: fake.Visitor{Email: company.Leo}, History: []fake.Line{{Type: "chat.msg", Text: strings.Repeat("word ", 600_000)}}})
	}
	a.Advance(fake.IndexLag)
	a.c = a.connect(conformance.Local(a.Server), "")
	if p := a.operate(connector.Export, person(conformance.By(identity.Email, company.Leo))); p.Counts["chats"] != 5 || a.route("GET", "/chats") < 3 {
		t.Errorf("%+v after %d calls", p, a.route("GET", "/chats"))
	}
}

// rewriting changes JSON answers on their way to the connector.
type rewriting struct {
	next   http.RoundTripper
	change func(path, body string) string
}

func (r rewriting) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err != nil || !strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(strings.NewReader(r.change(request.URL.Path, string(body))))
	response.ContentLength = -1
	return response, err
}

// Deleting is answered with 204 or with 200; nobody else is touched, and nothing
// personal is said.
func TestErase(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	mine, before := a.Find(company.Ines), len(a.State().Chats)
	p := a.operate(connector.Erase, ines())
	if !p.Done || p.Counts["chats"] != 6 {
		t.Fatalf("%+v", p)
	}
	if left := a.Find(company.Ines); len(left) != 0 || len(a.State().Chats) != before-len(mine) || len(a.State().Files) != 0 {
		t.Errorf("%v are left, %d of %d chats", left, len(a.State().Chats), before)
	}
	for _, want := range []string{"DELETE /chats/{id} 200", "DELETE /chats/{id} 204"} {
		if !a.contract.Seen(want) {
			t.Errorf("there was no %s", want)
		}
	}
	if diff := cmp.Diff([]connector.Evidence{{At: p.Evidence[0].At, Call: "DELETE /chats/{id}", Answer: "6 chats deleted"}}, p.Evidence); diff != "" {
		t.Error(diff)
	}
	text, _ := json.Marshal(p)
	if strings.Contains(strings.ToLower(string(text)), "ines") || a.Beyond() != 0 || a.route("DELETE OF MANY", "") != 0 {
		t.Errorf("%s, %d calls beyond a limit", text, a.Beyond())
	}
	if again := a.operate(connector.Erase, ines()); !again.Done || len(again.Counts) != 0 || len(again.Evidence) != 0 {
		t.Errorf("when all is gone: %+v", again)
	}
}

// A chat that is found by its id only is deleted, too; an id of nothing, or of
// something that is no id, deletes nothing.
func TestErase_byID(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	id := a.AddChat(fake.Chat{Visitor: fake.Visitor{Name: "Visitor 77"}})
	before := len(a.State().Chats)
	s := person(conformance.By("zendesk.chat_id", id), conformance.By(identity.ChatID, ""), conformance.By(identity.ChatID, " "), conformance.By("chat.chat_id", ".."), conformance.By("chat.chat_id", "2604.1.gone"))
	p := a.operate(connector.Erase, s)
	if p.Counts["chats"] != 1 || len(a.State().Chats) != before-1 || a.chat(id) != nil || a.route("DELETE", "/chats/{id}") != 1 {
		t.Errorf("%+v, %d chats of %d", p, len(a.State().Chats), before)
	}
	if r, _ := a.verify(s); len(r.Counts) != 0 || len(r.Evidence) != 1 || r.Evidence[0].Call != "GET /chats" || r.Evidence[0].Answer != "null" {
		t.Errorf("%+v", r)
	}
}

// Only administrators of Chat may delete: that is a matter for a person, and
// nothing is taken for deleted.
func TestErase_administratorsOnly(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	a.AgentOnly(true)
	call := connector.Call{Operation: connector.Erase, Subject: ines()}
	if p, err := a.drive(call); !errs.Is(err, errs.Forbidden) || len(p.Counts) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	a.AgentOnly(false)
	call.Again = true
	if p, err := a.drive(call); err != nil || p.Counts["chats"] != 6 {
		t.Errorf("%+v, %v", p, err)
	}
}

// The search shows deleted chats for some minutes: nothing is called gone before
// it has caught up.
func TestVerify_searchLag(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	if r, waits := a.verify(ines()); r.Counts["chats"] != 6 || waits != 0 {
		t.Errorf("nothing was deleted: %+v", r)
	}
	a.operate(connector.Erase, ines())
	r, waits := a.verify(ines())
	if len(r.Counts) != 0 || waits == 0 || len(r.Evidence) != 1 || r.Evidence[0].Answer != "no chat of the person" {
		t.Errorf("after %d waits: %+v", waits, r)
	}
}

// A chat that comes a day after the erasure, or that the search did not know
// then, is found by the look at +24 h.
func TestVerify_residueAfterADay(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	a.operate(connector.Erase, ines())
	late := a.AddChat(fake.Chat{Visitor: fake.Visitor{Name: "Inès", Email: company.Ines}})
	a.verify(ines())
	a.Advance(24 * time.Hour)
	if r, _ := a.verify(ines()); r.Counts["chats"] != 1 {
		t.Errorf("%+v", r)
	}
	a.operate(connector.Erase, ines())
	if r, _ := a.verify(ines()); len(r.Counts) != 0 || a.chat(late) != nil {
		t.Errorf("%+v", r)
	}
}

// A correction is made only where the old value stands, in any notation of it.
func TestRectify_oldValueStands(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	other := a.AddChat(fake.Chat{Visitor: fake.Visitor{Name: "I. M.", Email: company.Ines, Phone: "0033 6 55 00 01 01", Notes: "vip"}})
	a.Advance(fake.IndexLag)
	changes := []connector.Change{
		{Field: "name", Old: "Inès Martin", New: "Inès Durand"}, {Field: "phone", Old: "+33 6 55 00 01 01", New: "+33655000202"}, {Field: "email", New: "added@example.test"},
	}
	for i, want := range []int{7, 0} { // repeated, there is nothing to do
		if p := a.operate(connector.Rectify, ines(), changes...); !p.Done || p.Counts["chats"] != want {
			t.Errorf("time %d: %+v", i, p)
		}
	}
	for _, id := range a.Find(company.Ines) {
		v, name := a.chat(id).Visitor, "Inès Durand"
		if id == other {
			name = "I. M."
		}
		if v.Name != name || v.Phone != "+33655000202" || v.Email != company.Ines || id == other && v.Notes != "vip" {
			t.Errorf("%+v", v)
		}
	}
	if p := a.operate(connector.Rectify, ines(), connector.Change{Field: "birthday", Old: "1999", New: "2000"}); p.Ask == nil {
		t.Errorf("a field that Chat does not have: %+v", p)
	}
}

// An e-mail that is corrected takes its chat out of the search that walks over
// them: none is left out.
func TestRectify_email(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{Empty: true}, "")
	for i := range 130 {
		a.AddChat(fake.Chat{Visitor: fake.Visitor{Name: "Leo", Email: company.Leo}, Timestamp: start.Add(-time.Duration(i) * time.Hour)})
	}
	a.Advance(fake.IndexLag)
	p := a.operate(connector.Rectify, person(conformance.By(identity.Email, company.Leo)), connector.Change{Field: "email", Old: company.Leo, New: "leo@new.example.test"})
	if !p.Done || p.Counts["chats"] != 130 || len(a.Find("leo@new.example.test")) != 130 {
		t.Errorf("%+v, %d are left", p, len(a.Find(company.Leo)))
	}
}

// Zendesk does not document what of a chat can be changed: 200 proves nothing.
func TestRectify_fixed(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{Fixed: true}, "")
	p := a.operate(connector.Rectify, ines(), connector.Change{Field: "name", Old: "Inès Martin", New: "Inès Durand"})
	if p.Done || p.Ask == nil || len(p.Counts) != 0 {
		t.Errorf("%+v", p)
	}
	if p = a.operate(connector.Object, ines()); p.Ask == nil || len(p.Counts) != 0 {
		t.Errorf("%+v", p)
	}
}

// Objection and restriction mark the chats; what no API stops is put to people,
// each time, unless the company acts on the tags.
func TestTags(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	for i, op := range []connector.Operation{connector.Restrict, connector.Object, connector.Object} {
		p := a.operate(op, ines())
		if p.Ask == nil || !strings.Contains(p.Ask.Reason, "the person has 6 chats, marked avow-") || (p.Counts["chats"] == 5) != (i < 2) {
			t.Errorf("%s: %+v", op, p)
		}
	}
	a.c = a.connect(a.contract, `{"base_url":"https://example.zendesk.com","tags_suffice":true}`)
	if p := a.operate(connector.Object, person(conformance.By(identity.Email, company.Leo))); !p.Done || p.Counts["chats"] != 1 || len(p.Evidence) != 1 {
		t.Errorf("%+v", p)
	}
	for _, id := range a.Find(company.Ines) {
		if c := a.chat(id); c.Type == fake.Live && !slices.Equal(c.Tags, []string{"avow-restricted", "avow-objected"}) {
			t.Errorf("%v", c.Tags)
		}
	}
	if p := a.operate(connector.Object, person(conformance.By(identity.Email, "nobody@example.test"))); !p.Done || p.Ask != nil {
		t.Errorf("nobody: %+v", p)
	}
}

// Both base paths are tried, and the one that answers is kept; a configured one
// is not doubted.
func TestBasePath_legacyAndCurrent(t *testing.T) {
	t.Parallel()
	for path, host := range map[string]string{"/api/v2/chat": "example.zendesk.com", "/api/v2": "www.zopim.com"} {
		a := newAccount(t, fake.Options{Path: path}, `{"base_url":"https://`+host+`/"}`)
		if f := a.locate(ines()); f.Counts["chats"] != 6 {
			t.Errorf("%s: %+v", path, f)
		}
		probes := a.route("GET", "/chats/search")
		a.locate(ines())
		if again := a.route("GET", "/chats/search") - probes; again != probes-1 {
			t.Errorf("%s: %d searches, then %d: the path is looked for once", path, probes, again)
		}
		if p := a.operate(connector.Erase, ines()); p.Counts["chats"] != 6 {
			t.Errorf("%s: %+v", path, p)
		}
	}
	a := newAccount(t, fake.Options{Path: "/api/v2"}, `{"base_url":"https://example.zendesk.com","path":"/api/v2"}`)
	if f := a.locate(ines()); f.Counts["chats"] != 6 {
		t.Errorf("%+v", f)
	}
	a = newAccount(t, fake.Options{Path: "/api/v9"}, "")
	if _, err := a.c.Locate(t.Context(), ines()); !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "neither below /api/v2/chat nor below /api/v2") {
		t.Errorf("%v", err)
	}
}

// A client that somebody has saved in the dashboard is public, and client
// credentials are refused: the text says what to do.
func TestCredentials_publicClient(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	a.locate(ines())
	a.SaveClient()
	a.locate(ines()) // the token is still good
	a.Advance(fake.TokenLife)
	_, err := a.c.Locate(t.Context(), ines())
	if !errs.Is(err, errs.Forbidden) || !strings.Contains(err.Error(), "invalid_client") || !strings.Contains(err.Error(), "set its client_type to confidential again") {
		t.Errorf("%v", err)
	}
	a.Confidential()
	a.locate(ines())
}

// Replaced credentials work in the middle of an erasure.
func TestCredentials_replaced(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	p, err := a.c.Start(t.Context(), connector.Call{Operation: connector.Erase, Subject: ines(), Now: a.Now()})
	if err != nil {
		t.Fatal(err)
	}
	a.SetSecret("another")
	poll := connector.Call{Operation: connector.Erase, Subject: ines(), Handle: p.Handle, Now: a.Now()}
	if _, err := a.c.Poll(t.Context(), poll); !errs.Is(err, errs.Forbidden) || strings.Contains(err.Error(), "chat-secret") {
		t.Errorf("%v", err)
	}
	a.secret = `{"client_id":"avow","client_secret":"another"}`
	if p, err = a.c.Poll(t.Context(), poll); err != nil || p.Counts["chats"] != 6 {
		t.Errorf("%+v, %v", p, err)
	}
	a.secret = "not JSON"
	a.Revoke()
	if _, err := a.c.Locate(t.Context(), ines()); !errs.Is(err, errs.Forbidden) {
		t.Errorf("%v", err)
	}
}

// Tokens may have no end that the vendor tells.
func TestCredentials_endlessToken(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{Endless: true}, "")
	a.locate(ines())
	a.Advance(90 * 24 * time.Hour)
	a.locate(ines())
	a.Revoke()
	a.locate(ines())
}

// 502 is how Zendesk throttles, too; a page of HTML is no answer.
func TestThrottled(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fakekit.Failure{
		"502": {Status: 502, Times: 2}, "502 as a page": {Status: 502, Times: 2, HTML: true}, "429": {Status: 429, Times: 2, After: time.Second}, "429 as a page": {Status: 429, Times: 2, After: 2 * time.Second, HTML: true},
	} {
		a := newAccount(t, fake.Options{}, "")
		a.Fail(f)
		if got := a.locate(ines()); got.Counts["chats"] != 6 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	a := newAccount(t, fake.Options{}, "")
	a.Fail(fakekit.Failure{Status: 429, After: 50 * time.Second, HTML: true})
	_, err := a.c.Locate(t.Context(), ines())
	if after, ok := connector.RetryAfter(err); !errs.Is(err, errs.Unavailable) || !ok || after != 50*time.Second {
		t.Errorf("%v, %v", err, after)
	}
}

// A vendor that is down for a week loses nothing.
func TestErase_downForAWeek(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	p, err := a.c.Start(t.Context(), connector.Call{Operation: connector.Erase, Subject: ines(), Now: a.Now()})
	if err != nil {
		t.Fatal(err)
	}
	a.Fail(fakekit.Failure{Status: 503})
	for range 7 {
		a.Advance(24 * time.Hour)
		if _, err := a.c.Poll(t.Context(), connector.Call{Operation: connector.Erase, Subject: ines(), Handle: p.Handle, Now: a.Now()}); !errs.Is(err, errs.Unavailable) {
			t.Fatalf("%v", err)
		}
	}
	a.Mend()
	if p, err = a.c.Poll(t.Context(), connector.Call{Operation: connector.Erase, Subject: ines(), Handle: p.Handle, Now: a.Now()}); err != nil || p.Counts["chats"] != 6 {
		t.Errorf("%+v, %v", p, err)
	}
}

// docs is an object whose values may be null, and may be missing: only a chat
// that is missing by itself, too, is gone.
func TestDocs_nullAndAbsent(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]fake.Options{"null": {}, "absent": {Short: true}} {
		a := newAccount(t, o, "")
		id := a.AddChat(fake.Chat{Visitor: fake.Visitor{Name: "Visitor 77"}})
		s := person(conformance.By("chat.chat_id", id), conformance.By("chat.chat_id", "2604.1.gone"))
		if f := a.locate(s); f.Counts["chats"] != 1 {
			t.Errorf("%s: %+v", name, f)
		}
		if single := a.contract.Seen("GET /chats/{id} 404"); single != o.Short {
			t.Errorf("%s: asked one by one: %v", name, single)
		}
		a.c = a.connect(rewriting{conformance.Local(a.Server), func(path, body string) string {
			if strings.HasSuffix(path, "/chats") {
				return `{"docs":{},"count":0}` // a list that was cut short
			}
			return body
		}}, "")
		if f := a.locate(s); f.Counts["chats"] != 1 {
			t.Errorf("%s, cut short: %+v", name, f)
		}
	}
}

// What is not as documented stops the operation and quotes nothing.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(path, body string) string{
		"chat under another id": func(path, body string) string {
			if strings.HasSuffix(path, "/chats") {
				return strings.ReplaceAll(body, `"id":"25`, `"id":"27`)
			}
			return body
		},
		"chat is a list": func(path, body string) string {
			if strings.HasSuffix(path, "/chats") {
				return strings.ReplaceAll(body, `:{"agent_ids"`, `:[{"agent_ids"`)
			}
			return body
		},
		"hit without id": func(path, body string) string {
			if strings.HasSuffix(path, "/search") {
				return strings.ReplaceAll(body, `{"id":"`, `{"id":"../`)
			}
			return body
		},
	} {
		a := newAccount(t, fake.Options{}, "")
		before := len(a.State().Chats)
		a.c = a.connect(rewriting{conformance.Local(a.Server), change}, "")
		p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: ines()})
		if err == nil || strings.Contains(err.Error(), "2503.") || len(p.Counts) != 0 || len(a.State().Chats) != before {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// The link to the next page is never followed, so that it may lead anywhere.
func TestSearch_nextPageElsewhere(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{Empty: true}, "")
	for i := range 100 {
		a.AddChat(fake.Chat{Visitor: fake.Visitor{Email: company.Leo}, Timestamp: start.Add(-time.Duration(i) * time.Hour)})
	}
	a.Advance(fake.IndexLag)
	next := conformance.Local(a.Server)
	a.c = a.connect(visited{t, rewriting{next, func(_, body string) string {
		return strings.ReplaceAll(body, `"next_url":"https://example.zendesk.com`, `"next_url":"https://evil.test`)
	}}}, "")
	if f := a.locate(person(conformance.By(identity.Email, company.Leo))); f.Counts["chats"] != 100 {
		t.Errorf("%+v", f)
	}
	for _, c := range a.Calls() {
		if strings.Contains(c.Query, "page=0") {
			t.Error("pages 0 and 1 are the same: one of them is asked for")
		}
	}
}

// visited refuses calls of other hosts.
type visited struct {
	t    *testing.T
	next http.RoundTripper
}

func (v visited) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "example.zendesk.com" {
		v.t.Errorf("a call of %s", r.URL.Host)
	}
	return v.next.RoundTrip(r)
}

// A person with more chats than a search shows: the time is cut into windows,
// each chat is dealt with once, and no limit of the vendor is ever reached.
func TestTenThousandChats(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	const many = 10_700
	a := newAccount(t, fake.Options{Empty: true}, "")
	a.c = a.connect(conformance.Local(a.Server), "")
	s := person(conformance.By(identity.Email, company.Leo))
	for i := range many {
		a.AddChat(fake.Chat{Visitor: fake.Visitor{ID: "v1", Name: "Leo", Email: company.Leo}, Timestamp: start.Add(-time.Duration(i/3) * time.Hour)}) // threes in one second
	}
	a.Advance(fake.IndexLag)
	f := a.locate(s)
	if f.Counts["chats"] != many || len(f.Notes) != 1 || !strings.Contains(f.Notes[0], "400 chats were compared, 10300 more are counted") {
		t.Errorf("%+v", f)
	}
	located := len(a.Calls())
	out := &conformance.Recorder{}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p, err := a.drive(connector.Call{Operation: connector.Export, Subject: s, Out: counting{out}})
	runtime.GC()
	runtime.ReadMemStats(&after)
	if err != nil || p.Counts["chats"] != many || out.Files["chats"] != many {
		t.Fatalf("exported %v, %d records, %v", p.Counts, out.Files["chats"], err)
	}
	exported := len(a.Calls()) - located
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("%d bytes more are in use after the export", grown)
	}
	began := a.Now()
	p, err = a.drive(connector.Call{Operation: connector.Erase, Subject: s})
	if err != nil || p.Counts["chats"] != many || len(a.State().Chats) != 0 {
		t.Fatalf("erased %v, %d are left, %v", p.Counts, len(a.State().Chats), err)
	}
	t.Logf("%d chats: %d calls to locate, %d to export, %d to erase in %v", many, located, exported, len(a.Calls())-located-exported, a.Now().Sub(began))
	if n := a.Beyond(); n != 0 {
		t.Errorf("%d calls beyond a limit", n)
	}
	if r, _ := a.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// counting counts records instead of keeping them.
type counting struct{ *conformance.Recorder }

func (c counting) Record(string, any) error {
	if c.Files == nil {
		c.Recorder.Files = map[string]int64{}
	}
	c.Files["chats"]++
	return nil
}

// More chats in one second than a search shows are no person's.
func TestWindow_tooNarrow(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	a.c = a.connect(rewriting{conformance.Local(a.Server), func(_, body string) string { return strings.ReplaceAll(body, `"count":7`, `"count":10000`) }}, "")
	if _, err := a.drive(connector.Call{Operation: connector.Erase, Subject: ines()}); !errs.Is(err, errs.TooLarge) {
		t.Errorf("%v", err)
	}
}

// A search that the vendor refuses on a later page, whatever it has counted, is
// made narrower, too.
func TestWindow_refusedPage(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{Empty: true}, "")
	for i := range 100 {
		a.AddChat(fake.Chat{Visitor: fake.Visitor{Email: company.Leo}, Timestamp: start.Add(-time.Duration(i) * 100 * time.Hour)})
	}
	a.Advance(fake.IndexLag)
	a.c = a.connect(refusing{conformance.Local(a.Server)}, "")
	p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: person(conformance.By(identity.Email, company.Leo))})
	if err != nil || p.Counts["chats"] != 100 {
		t.Errorf("%+v, %v", p, err)
	}
}

// Hits move to the next page when the search learns of a new chat: none is
// deleted, or counted, twice.
func TestErase_movingPages(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{Empty: true}, "")
	for i := range 100 {
		a.AddChat(fake.Chat{Visitor: fake.Visitor{Email: company.Leo}, Timestamp: start.Add(-time.Duration(i) * time.Hour)})
	}
	a.Advance(fake.IndexLag)
	a.c = a.connect(&moving{next: a.contract}, "")
	p := a.operate(connector.Erase, person(conformance.By(identity.Email, company.Leo)))
	if p.Counts["chats"] != 100 || a.route("DELETE", "/chats/{id}") != 100 || len(a.State().Chats) != 0 {
		t.Errorf("%+v, %d are left", p, len(a.State().Chats))
	}
}

// moving answers the first call of the second page with the first.
type moving struct {
	next  http.RoundTripper
	moved bool
}

func (m *moving) RoundTrip(r *http.Request) (*http.Response, error) {
	if q := r.URL.Query(); q.Get("page") == "2" && !m.moved {
		m.moved = true
		q.Set("page", "1")
		r = r.Clone(r.Context())
		r.URL.RawQuery = q.Encode()
	}
	return m.next.RoundTrip(r)
}

// refusing answers every page behind the first with 400.
type refusing struct{ next http.RoundTripper }

func (f refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	if page := r.URL.Query().Get("page"); strings.HasSuffix(r.URL.Path, "/search") && page != "" && page != "1" {
		return &http.Response{StatusCode: 400, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
	}
	return f.next.RoundTrip(r)
}

// Calls for a person as the demo has them: six chats with two files.
func TestFigures(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	got := map[string]int{}
	measure := func(what string, do func()) {
		before := len(a.Calls())
		do()
		got[what] = len(a.Calls()) - before
	}
	a.locate(person(conformance.By(identity.Email, "nobody@example.test"))) // which path it is, is known then
	measure("locate", func() { a.locate(ines()) })
	measure("export", func() { a.operate(connector.Export, ines()) })
	measure("rectify", func() {
		a.operate(connector.Rectify, ines(), connector.Change{Field: "name", Old: "Inès Martin", New: "Inès Durand"})
	})
	measure("erase", func() { a.operate(connector.Erase, ines()) })
	measure("verify", func() { a.verify(ines()) })
	t.Logf("calls for a person with 6 chats: %v", got)
	if diff := cmp.Diff(map[string]int{"locate": 5, "export": 2, "rectify": 12, "erase": 10, "verify": 4}, got); diff != "" {
		t.Error(diff)
	}
}

func TestInventory(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	i := a.c.Inventory()
	if len(i.Data) != 1 || i.Portable || !i.Can(connector.Erase) || i.Can(connector.Tell) {
		t.Errorf("%+v", i)
	}
	if _, err := a.c.Start(t.Context(), connector.Call{Operation: connector.Tell, Subject: ines()}); !errs.Is(err, errs.Internal) {
		t.Errorf("%v", err)
	}
	if _, err := a.c.Poll(t.Context(), connector.Call{Operation: connector.Erase, Subject: ines(), Handle: "broken"}); !errs.Is(err, errs.Internal) {
		t.Errorf("%v", err)
	}
}

func TestNew_refuses(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	for config, want := range map[string]string{
		``:                                 "base_url is no address",
		`{"base_url":"http://chat.test"}`:  "must begin with https://",
		`{"base_uri":"https://chat.test"}`: `unknown field "base_uri"`,
		`{"base_url":"https://chat.test","per_minute":0}`:                "per_minute must be at least 1",
		`{"base_url":"https://chat.test","agent_chats":"yes"}`:           "agent_chats must be ask, keep or delete",
		`{"base_url":"https://chat.test","path":"api"}`:                  "path must be a path",
		`{"base_url":"https://chat.test","path":"/api/../x"}`:            "path must be a path",
		`{"base_url":"https://chat.test","token_path":"/oauth2/token?"}`: "token_path must be a path",
		`{"base_url":"https://chat.test","fields":{"mail":"x"}}`:         "fields may set",
		`{"base_url":"https://chat.test","fields":{"email":"x:y OR"}}`:   "fields may set",
	} {
		o := a.options(nil, config)
		if _, err := zendeskchat.New(o); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `system "chat"`) {
			t.Errorf("%s: %v", config, err)
		}
	}
}

// The names of the search's fields are what people have seen: others can be set,
// and without one the whole text is searched. A search that the vendor does not
// understand says where to look.
func TestFields(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, `{"base_url":"https://example.zendesk.com","fields":{"email":"","phone":""}}`)
	if f := a.locate(ines()); f.Counts["chats"] != 6 || len(f.Candidates) != 1 {
		t.Errorf("%+v", f)
	}
	a = newAccount(t, fake.Options{}, `{"base_url":"https://example.zendesk.com","fields":{"email":"mail"}}`)
	if _, err := a.c.Locate(t.Context(), ines()); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "config.fields") {
		t.Errorf("%v", err)
	}
}

// Through a real server, with an attachment that does not fit into memory twice.
func TestExport_overHTTP(t *testing.T) { // not parallel: it measures what is allocated
	a := newAccount(t, fake.Options{Empty: true}, "")
	server := httptest.NewServer(a.Server)
	defer server.Close()
	id := a.AddChat(fake.Chat{Visitor: fake.Visitor{Name: "Leo", Email: company.Leo}})
	const size = 64 << 20
	a.AddFile(id, "../film.mp4", "video/mp4", "0123456789", size)
	a.Advance(fake.IndexLag)
	a.c = a.connect(nil, `{"base_url":"`+server.URL+`","allow_local":true}`)
	out := &conformance.Recorder{}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := a.drive(connector.Call{Operation: connector.Export, Subject: person(conformance.By(identity.Email, company.Leo)), Out: out})
	if err != nil || !p.Done {
		t.Fatalf("%+v, %v", p, err)
	}
	runtime.ReadMemStats(&after)
	if name := fmt.Sprintf("chats/%s/1 film.mp4", id); out.Files[name] != size {
		t.Errorf("files %v", out.Files)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > size/2 {
		t.Errorf("%d bytes allocated", allocated)
	}
}
