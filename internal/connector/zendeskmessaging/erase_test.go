package zendeskmessaging_test

import (
	"context"
	"encoding/json"
	"fmt"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/zendeskmessaging/fake"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// left is what the vendor holds of users: messages that they wrote, and files
// that are not removed.
func left(s fake.State, users ...string) (messages int, files []string) {
	for _, c := range s.Conversations {
		for _, m := range c.Messages {
			if slices.Contains(users, m.User) && !m.Deleted {
				messages++
			}
		}
	}
	for _, f := range s.Files {
		if f.RemovedAt == nil {
			files = append(files, f.Name)
		}
	}
	return messages, files
}

func TestErase(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	before := d.State()
	ines, leo, mo := d.Find(company.Ines), d.Find(company.Leo), d.Find(company.Mo)
	others, _ := left(before, leo, mo)
	s := d.located(conformance.Person(company.Ines))
	p := d.erase(s)
	want := map[string]int{"users": 1, "conversations": 3, "shared conversations": 1, "messages": 113, "files": 3, "files not removed": 1}
	if diff := cmp.Diff(want, p.Counts); diff != "" {
		t.Error(diff)
	}
	after := d.State()
	mine, files := left(after, ines)
	if theirs, _ := left(after, leo, mo); mine != 0 || theirs != others || !slices.Equal(files, []string{"old.png", "leo.jpg"}) {
		t.Errorf("%d messages of hers, %d of %d of the others, files %v", mine, theirs, others, files)
	}
	if len(after.Users) != len(before.Users)-1 || len(after.Conversations) != len(before.Conversations)-3 || len(after.Devices) != 0 {
		t.Errorf("%d users, %d conversations, %d devices", len(after.Users), len(after.Conversations), len(after.Devices))
	}
	if r := d.verify(s); len(r.Counts) != 0 || len(r.Evidence) == 0 {
		t.Errorf("%+v", r)
	}
	text, _ := json.Marshal(p)
	for _, planted := range []string{"ines", "Martin", "customer-1001", ines} {
		if strings.Contains(string(text), planted) {
			t.Errorf("progress holds %q: %s", planted, text)
		}
	}
	if len(p.Kept) != 1 || !strings.Contains(p.Kept[0].What, "files") { // old.png
		t.Errorf("%+v", p.Kept)
	}
	again, err := d.drive(connector.Call{Operation: connector.Erase, Subject: s, Again: true})
	if err != nil || !again.Done || len(again.Counts) != 0 {
		t.Errorf("when all is gone: %+v, %v", again, err)
	}
	for _, seen := range []string{"DELETE /v2/apps/{appId}/conversations/{conversationId}/messages 200", "POST /v2/apps/{appId}/attachments/remove 400"} {
		if !d.contract.Seen(seen) {
			t.Errorf("%s did not happen", seen)
		}
	}
}

// Files before their messages, messages before conversations, conversations
// before the user: what is deleted is the index to what is not.
func TestErase_order(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	ines := d.Find(company.Ines)
	s := d.located(conformance.Person(company.Ines))
	mark := len(d.Calls())
	users := 0
	d.c = d.connect(hook{d.contract, func(r *http.Request) {
		if r.Method != http.MethodDelete {
			return
		}
		state := d.State()
		if strings.Contains(r.URL.Path, "/users/") {
			users++
			for _, c := range state.Conversations {
				if slices.Contains(c.Users, ines) && (!c.Default || len(c.Messages) > 0) {
					t.Errorf("the user is deleted while conversation %s is there", c.ID)
				}
			}
			return
		}
		for _, f := range state.Files {
			if f.Name == "label.pdf" && f.RemovedAt == nil && strings.HasSuffix(r.URL.Path, d.talkOf("label.pdf")) {
				t.Error("a conversation is deleted while a file of it is there")
			}
		}
	}})
	d.erase(s)
	if users != 1 {
		t.Errorf("%d users were deleted", users)
	}
	t.Logf("an erasure: %v", d.calls(mark))
}

// talkOf is the id of the conversation with a file.
func (d *inbox) talkOf(file string) string {
	state := d.State()
	for _, f := range state.Files {
		for _, c := range state.Conversations {
			if f.Name == file && slices.ContainsFunc(c.Messages, func(m fake.Message) bool { return m.File == f.File.ID }) {
				return c.ID
			}
		}
	}
	return "none"
}

// DELETE of the default conversation is refused with 400: its messages are
// deleted instead, also when it becomes the default one only now.
func TestErase_defaultConversation(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	user := d.AddUser(fake.User{ExternalID: "x-1"})
	d.Talk(user)
	second := d.Talk(user)
	d.Say(second, user, "hello")
	s := d.located(connector.Subject{Identifiers: []identity.Identifier{conformance.By(identity.ExternalID, "x-1")}})
	d.c = d.connect(hook{d.contract, func(r *http.Request) {
		if r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, "/conversations/"+second) {
			d.SetDefault(second)
		}
	}})
	p := d.erase(s)
	if !d.contract.Seen("DELETE /v2/apps/{appId}/conversations/{conversationId} 400") || p.Counts["conversations"] != 2 || p.Counts["users"] != 1 {
		t.Errorf("%+v", p.Counts)
	}
	if r := d.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// In a conversation with other people a message that is deleted is no cursor any
// more, or leaves a placeholder; either way every one of the person's goes and
// none of the others'.
func TestErase_sharedConversation(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]fake.Options{
		"cursors die": {}, "placeholders": {Placeholders: true}, "newest first": {NewestFirst: true, Placeholders: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newInbox(t, o)
			user, other := d.AddUser(fake.User{ExternalID: "x-1"}), d.Find(company.Mo)
			club := d.TalkTogether(user, other)
			for i := range 450 { // whole pages of one of them, and pages of both
				who := user
				if i < 120 || i > 330 && i%3 == 0 {
					who = other
				}
				d.Say(club, who, fmt.Sprintf("message %d", i))
			}
			d.SendFile(club, user, fake.File{File: fakekit.File{Name: "mine.pdf", MediaType: "application/pdf", Text: "x", Size: 1}})
			d.SendFile(club, other, fake.File{File: fakekit.File{Name: "theirs.pdf", MediaType: "application/pdf", Text: "x", Size: 1}})
			mine, _ := left(d.State(), user)
			theirs, _ := left(d.State(), other)
			s := d.located(connector.Subject{Identifiers: []identity.Identifier{conformance.By(identity.ExternalID, "x-1")}})
			p := d.erase(s)
			state := d.State()
			now, files := left(state, user)
			still, _ := left(state, other)
			if now != 0 || still != theirs || p.Counts["messages"] != mine || p.Counts["files"] != 1 || slices.Contains(files, "mine.pdf") || !slices.Contains(files, "theirs.pdf") {
				t.Errorf("%d of %d left, others %d of %d, %v, %v", now, mine, still, theirs, p.Counts, files)
			}
			if r := d.verify(s); len(r.Counts) != 0 {
				t.Errorf("%+v", r)
			}
			if d.calls(0)["DELETE /conversations/{id}/messages"] != 0 {
				t.Error("other people's messages were deleted in bulk")
			}
		})
	}
}

// Where the policy keeps what was said among several, the person leaves, the
// words stay, and the certificate says so.
func TestErase_groupsKept(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	d.set(`,"groups":"keep","ground":"Art. 17(3)(a) GDPR"`)
	leo := d.Find(company.Leo)
	mine, _ := left(d.State(), leo)
	s := d.located(conformance.Person(company.Leo))
	p := d.erase(s)
	if now, _ := left(d.State(), leo); now != mine || mine == 0 {
		t.Errorf("%d of %d messages are left", now, mine)
	}
	if len(p.Kept) != 1 || p.Kept[0].Ground != "Art. 17(3)(a) GDPR" || p.Counts["users"] != 1 {
		t.Errorf("%+v", p)
	}
	if r := d.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// What stays is said before the person leaves, so that a "retry", which meets
// the conversation no more, loses it not, and it is said once.
func TestErase_groupsKeptRetry(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	d.set(`,"groups":"keep","ground":"Art. 17(3)(a) GDPR"`)
	call := connector.Call{Key: "k", Operation: connector.Erase, Subject: d.located(conformance.Person(company.Leo))}
	var kept []connector.Kept
	piece := func(do func(context.Context, connector.Call) (connector.Progress, error)) connector.Progress {
		call.Now = d.Now()
		p, err := do(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		kept, call.Handle = append(kept, p.Kept...), p.Handle
		d.Advance(max(p.After, time.Minute))
		return p
	}
	piece(d.c.Start)
	for piece(d.c.Poll).Counts["shared conversations"] == 0 {
	}
	piece(d.c.Start) // "retry"
	for !piece(d.c.Poll).Done {
	}
	if len(kept) != 1 || kept[0].Ground != "Art. 17(3)(a) GDPR" {
		t.Errorf("%+v", kept)
	}
}

// A file that the vendor refuses to remove is counted, and the certificate says
// that it stays.
func TestErase_fileOfAnotherHost(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	user := d.AddUser(fake.User{ExternalID: "x-1"})
	for range 2 {
		talk := d.Talk(user)
		for _, foreign := range []string{"https://pictures.example.test", ""} {
			d.SendFile(talk, user, fake.File{Foreign: foreign, File: fakekit.File{Name: "a.gif", MediaType: "image/gif", Text: "GIF", Size: 3}})
		}
	}
	p := d.erase(d.located(connector.Subject{Identifiers: []identity.Identifier{conformance.By(identity.ExternalID, "x-1")}}))
	if p.Counts["files"] != 2 || p.Counts["files not removed"] != 2 || len(p.Kept) != 1 || !strings.Contains(p.Kept[0].What, "files") {
		t.Errorf("%+v", p)
	}
}

// personalinformation keeps messages and clears who it was; a channel would keep
// the telephone number, and is removed.
func TestErase_personalInformationOnly(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	d.set(`,"erase":"personal_information","ground":"Art. 17(3)(e) GDPR"`)
	ines := d.Find(company.Ines)
	mine, _ := left(d.State(), ines)
	s := d.located(conformance.Person(company.Ines))
	if r := d.verify(s); r.Counts["users"] != 1 {
		t.Errorf("before: %+v", r)
	}
	p := d.erase(s)
	state := d.State()
	if now, _ := left(state, ines); now != mine {
		t.Errorf("%d of %d messages are left", now, mine)
	}
	for _, u := range state.Users {
		if u.ID == ines && len(u.Profile)+len(u.Metadata)+len(u.Identities) != 0 {
			t.Errorf("%+v", u)
		}
	}
	for _, c := range state.Clients {
		if c.User == ines && c.Type != "sdk" {
			t.Errorf("%+v", c)
		}
	}
	if len(p.Kept) != 1 || p.Kept[0].Ground != "Art. 17(3)(e) GDPR" {
		t.Errorf("%+v", p.Kept)
	}
	if r := d.verify(s); len(r.Counts) != 0 || len(r.Evidence) == 0 {
		t.Errorf("%+v", r)
	}
}

// An upload without for=message outlives its message: it is removed by its
// address, before. What the company sent is removed, too, unless the policy says
// that it sends the same upload to many.
func TestErase_looseAttachments(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]int{"all": 60, "person": 40} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			d := newInbox(t, fake.Options{})
			d.set(`,"attachments":"` + policy + `"`)
			user := d.AddUser(fake.User{ExternalID: "x-1"})
			talk := d.Talk(user)
			_, before := left(d.State())
			for i := range 60 { // more than one Poll removes
				who := user
				if i%3 == 0 {
					who = ""
				}
				d.SendFile(talk, who, fake.File{File: fakekit.File{Name: fmt.Sprintf("%d.pdf", i), MediaType: "application/pdf", Text: "x", Size: 1}})
			}
			s := d.located(connector.Subject{Identifiers: []identity.Identifier{conformance.By(identity.ExternalID, "x-1")}})
			p := d.erase(s)
			if _, now := left(d.State()); len(now) != len(before)+60-want || p.Counts["files"] != want || p.Counts["messages"] != 60 {
				t.Errorf("%d files are left of %d, %v", len(now), len(before)+60, p.Counts)
			}
		})
	}
}

// The deletion of a user is complete when the user is not found any more. One
// that never ends is put to a person.
func TestErase_completionByLooking(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	s := d.located(conformance.Person(company.Leo))
	asked := d.Now()
	d.erase(s)
	if waited := d.Now().Sub(asked); waited < 20*time.Minute {
		t.Errorf("it was over after %v", waited)
	}
	never := newInbox(t, fake.Options{Options: fakekit.Options{Day: 365 * 24 * time.Hour * 24}})
	s = never.located(conformance.Person(company.Leo))
	if _, err := never.drive(connector.Call{Operation: connector.Erase, Subject: s}); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "not completed") {
		t.Errorf("%v", err)
	}
}

// Whoever writes again is a new user: Verify finds it a day later.
func TestVerify_writesAgain(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	s := d.located(conformance.Person(company.Ines))
	if r := d.verify(s); r.Counts["users"] != 1 || r.Counts["conversations"] != 4 {
		t.Errorf("nothing was deleted: %+v", r)
	}
	d.erase(s)
	d.Advance(24 * time.Hour)
	if r := d.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
	again := d.AddUser(fake.User{ExternalID: "customer-1001", Identities: []fake.Identity{{Type: "email", Value: company.Ines, Verification: "sso"}}})
	s.Identifiers = append(s.Identifiers, conformance.By(identity.ExternalID, "customer-1001"))
	if r := d.verify(s); r.Counts["users"] != 1 {
		t.Errorf("a user who came back: %+v", r)
	}
	d.erase(d.located(s))
	if slices.ContainsFunc(d.State().Users, func(u fake.User) bool { return u.ID == again }) {
		t.Error("it is still there")
	}
}

// What the person writes in a shared conversation after leaving is found.
func TestVerify_sharedConversation(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	leo := d.Find(company.Leo)
	s := d.located(conformance.Person(company.Leo))
	club := ids(s.Identifiers, "conversation_id")[0]
	d.erase(s)
	if r := d.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
	d.Say(club, leo, "I am still here")
	if r := d.verify(s); r.Counts["conversations"] != 1 {
		t.Errorf("%+v", r)
	}
}

// Whatever ids the vendor gives or a request has: a DELETE names one record, by
// a path of known form in which no segment is empty. An old client of this API
// lost the id, and deleted all users.
func TestErase_emptyID(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.OneOf(rapid.SampledFrom([]string{"", " ", ".", "..", "/", "a/b", "%2e%2e", "\n", "..;", "?", "#"}), rapid.StringMatching(`[0-9a-f]{24}`))
		d := unheldInbox(t, fake.Options{Empty: true})
		d.config = settings(rapid.SampledFrom([]string{"", `,"groups":"keep","ground":"x"`, `,"erase":"personal_information","ground":"x"`}).Draw(rt, "policy"))
		v := &anything{t: rt, id: id, max: 200}
		d.c = d.connect(v)
		s := connector.Subject{Identifiers: []identity.Identifier{conformance.By("messaging.user_id", id.Draw(rt, "user")), conformance.By("messaging.user_id", strings.Repeat("a", 24))}}
		call := connector.Call{Operation: connector.Erase, Subject: s, Now: start}
		p, err := d.c.Start(t.Context(), call)
		for n := 0; n < 40 && err == nil && !p.Done; n++ {
			call.Handle = p.Handle
			p, err = d.c.Poll(t.Context(), call)
		}
		for _, r := range v.writes {
			parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/sc/v2/apps/"+fake.App+"/"), "/")
			var form []string
			for i, part := range parts {
				if part == "" || part == "." || part == ".." {
					rt.Fatalf("%s %s has an empty segment", r.Method, r.URL.EscapedPath())
				}
				if i%2 == 0 {
					form = append(form, part)
				}
			}
			known := map[string]int{"users": 2, "users/clients": 4, "users/personalinformation": 3, "conversations": 2, "conversations/messages": 4}
			if n := known[strings.Join(form, "/")]; n == 0 || len(parts) > n || len(parts) < 2 {
				rt.Fatalf("%s %s names no single record", r.Method, r.URL.EscapedPath())
			}
		}
	})
}

// anything is a vendor whose records have any ids; it keeps the DELETEs.
type anything struct {
	t      *rapid.T
	id     *rapid.Generator[string]
	max    int
	writes []*http.Request
}

func (v *anything) RoundTrip(r *http.Request) (*http.Response, error) {
	if v.max--; v.max < 0 {
		return answer(r, 404, `{}`), nil
	}
	id := func() string { text, _ := json.Marshal(v.id.Draw(v.t, "id")); return string(text) }
	path := r.URL.Path
	switch {
	case r.Method == http.MethodDelete:
		v.writes = append(v.writes, r)
		return answer(r, rapid.SampledFrom([]int{200, 200, 400, 404}).Draw(v.t, "status"), `{}`), nil
	case r.Method == http.MethodPost:
		return answer(r, 200, `{}`), nil
	case strings.HasSuffix(path, "/clients"):
		return answer(r, 200, `{"clients":[{"id":`+id()+`,"type":"whatsapp"}]}`), nil
	case strings.HasSuffix(path, "/messages"):
		return answer(r, 200, `{"messages":[{"id":`+id()+`,"author":{"type":"user","userId":"`+strings.Repeat("a", 24)+`"}}]}`), nil
	case strings.HasSuffix(path, "/conversations"):
		kind := rapid.SampledFrom([]string{"personal", "sdkGroup", "new"}).Draw(v.t, "type")
		return answer(r, 200, `{"conversations":[{"id":`+id()+`,"type":"`+kind+`","isDefault":`+fmt.Sprint(rapid.Bool().Draw(v.t, "default"))+`}]}`), nil
	}
	text, _ := json.Marshal(path[strings.LastIndex(path, "/")+1:])
	return answer(r, 200, `{"user":{"id":`+string(text)+`}}`), nil
}

// Two records of one person in one conversation.
func TestErase_twoRecords(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	a, b := d.AddUser(fake.User{ExternalID: "x-1"}), d.AddUser(fake.User{ExternalID: "x-2"})
	club := d.TalkTogether(a, b, d.Find(company.Mo))
	d.Say(club, a, "one")
	d.Say(club, b, "two")
	d.Say(d.Talk(b), b, "three")
	s := d.located(connector.Subject{Identifiers: []identity.Identifier{conformance.By(identity.ExternalID, "x-1"), conformance.By(identity.ExternalID, "x-2")}})
	if p, _ := d.export(s); p.Counts["messages"] != 3 || p.Counts["conversations"] != 2 {
		t.Errorf("exported: %v", p.Counts)
	}
	p := d.erase(s)
	if n, _ := left(d.State(), a, b); n != 0 || p.Counts["users"] != 2 || p.Counts["messages"] != 3 || p.Counts["shared conversations"] != 1 {
		t.Errorf("%d left, %v", n, p.Counts)
	}
}

// A person with many conversations is erased list by list.
func TestErase_manyConversations(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	user := d.AddUser(fake.User{ExternalID: "x-1"})
	for range 260 {
		d.Say(d.Talk(user), user, "hello")
	}
	s := d.located(connector.Subject{Identifiers: []identity.Identifier{conformance.By(identity.ExternalID, "x-1")}})
	if n := len(ids(s.Identifiers, "conversation_id")); n != 50 {
		t.Errorf("%d conversations are yielded", n)
	}
	if p := d.erase(s); p.Counts["conversations"] != 260 || p.Counts["messages"] != 260 {
		t.Errorf("%v", p.Counts)
	}
	if r := d.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// How many calls a person costs. Ines has four conversations with 117 messages
// that an answer to her shows, and four files.
func TestFigures(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	count := func(what string, want int, do func()) {
		mark := len(d.Calls())
		do()
		got := len(d.Calls()) - mark
		t.Logf("calls per %s person: %d", what, got)
		if got != want {
			t.Errorf("%s: %d calls, want %d: %v", what, got, want, d.calls(mark))
		}
	}
	var s connector.Subject
	count("located", 11, func() { s = d.located(conformance.Person(company.Ines)) })
	count("exported", 9, func() { d.export(s) })
	count("erased", 26, func() { d.erase(s) })
	count("verified", 8, func() { d.verify(s) })
}
