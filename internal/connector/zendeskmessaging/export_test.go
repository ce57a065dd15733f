package zendeskmessaging_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/zendeskmessaging"
	"github.com/avow-consent/avow/internal/connector/zendeskmessaging/fake"
	"github.com/avow-consent/avow/internal/errs"
)

func (d *inbox) export(s connector.Subject) (connector.Progress, *conformance.Recorder) {
	d.t.Helper()
	out := &conformance.Recorder{}
	p, err := d.drive(connector.Call{Key: "k", Operation: connector.Export, Subject: s, Out: out})
	if err != nil || !p.Done {
		d.t.Fatalf("%+v, %v", p, err)
	}
	return p, out
}

// leaked reports whether the credentials went to another host.
func (d *inbox) leaked() bool {
	return slices.ContainsFunc(d.Calls(), func(c fakekit.Call) bool { return c.Route == "LEAKED TOKEN" })
}

func TestExport(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]fake.Options{"oldest first": {}, "newest first": {NewestFirst: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newInbox(t, o)
			p, out := d.export(d.located(conformance.Person(company.Ines)))
			want := map[string]int{
				"users": 1, "clients": 2, "devices": 1, "conversations": 4, "messages": 117, "files": 4, "messages of others, left out": 9,
			}
			if diff := cmp.Diff(want, p.Counts); diff != "" {
				t.Error(diff)
			}
			if len(out.Records["message"]) != 117 || len(out.Records["user"]) != 1 || len(out.Files) != 4 {
				t.Errorf("%d messages, %d users, files %v", len(out.Records["message"]), len(out.Records["user"]), out.Files)
			}
			all, _ := json.Marshal(out)
			for _, never := range []string{"Léo", "Mo Haddad", company.Leo, "_media", "leo.jpg"} {
				if strings.Contains(string(all), never) {
					t.Errorf("%q is exported", never)
				}
			}
			for _, always := range []string{"localeOrigin", "whatsapp", "currentUrl", "order 4100", "order 4202", "Welcome to the club.", "label.pdf"} {
				if !strings.Contains(string(all), always) {
					t.Errorf("%q is not exported", always)
				}
			}
			if d.leaked() {
				t.Error("the host of the files got the credentials")
			}
		})
	}
}

// With private attachments the vendor's own host has the files, and asks for
// the credentials. What it refuses is no missing file but a wrong set-up.
func TestExport_privateAttachments(t *testing.T) {
	t.Parallel()
	d := unheldInbox(t, fake.Options{})
	mo := d.Find(company.Mo)
	d.SendFile(d.Talk(mo), mo, fake.File{Private: true, File: fakekit.File{Name: "id card.pdf", MediaType: "application/pdf", Text: "x", Size: 10}})
	s := d.located(conformance.Person(company.Mo))
	p, out := d.export(s)
	if p.Counts["files"] != 1 || d.leaked() || len(out.Files) != 1 {
		t.Errorf("%+v, %v", p.Counts, out.Files)
	}
	d.c = d.connect(hook{conformance.Local(d.Server), func(r *http.Request) {
		if strings.Contains(r.URL.Path, "/attachments/v2/") {
			r.Header.Del("Authorization")
		}
	}})
	if _, err := d.drive(connector.Call{Operation: connector.Export, Subject: s, Out: &conformance.Recorder{}}); !errs.Is(err, errs.Forbidden) {
		t.Errorf("refused: %v", err)
	}
}

// The address of a file is whatever was sent. None leads to the API, where the
// credentials would fetch what is somebody else's, or into a private network.
func TestExport_hostileFiles(t *testing.T) {
	t.Parallel()
	d := unheldInbox(t, fake.Options{})
	mo := d.Find(company.Mo)
	talk := d.Talk(mo)
	d.SendFile(talk, mo, fake.File{File: fakekit.File{Name: "..\\..\\e\u202evil\n.exe", MediaType: "text/html", Text: "<script>", Size: 8}})
	s := d.located(conformance.Person(company.Mo))
	for name, address := range map[string]string{
		"the API":            "https://example.zendesk.com/sc/v2/apps/" + fake.App + "/users?filter[identities.email]=" + company.Leo,
		"the API, by dots":   "https://EXAMPLE.zendesk.com/sc/attachments/../v2/apps/" + fake.App + "/users/x",
		"the API, port":      "https://example.zendesk.com:443/sc/v2/apps/" + fake.App + "/users/x",
		"relative":           "/sc/v2/apps/" + fake.App + "/users/x",
		"this machine":       "http://127.0.0.1/latest/meta-data",
		"a private network":  "https://169.254.169.254/latest/meta-data",
		"no web address":     "javascript:alert(1)",
		"somebody's sign-in": "https://user:password@badhost.example.test/x",
		"no address":         "https://[::1",
	} {
		mark := len(d.Calls())
		d.c = d.connect(rewrite{conformance.Local(d.Server), address})
		p, out := d.export(s)
		if p.Counts["files that their host does not give out"] == 0 || len(out.Files) != 0 {
			t.Errorf("%s: %v, files %v", name, p.Counts, out.Files)
		}
		if text := strings.Join(out.Records["message"], ""); strings.Contains(text, "mediaUrl") {
			t.Errorf("%s: the address is exported", name)
		}
		if n := d.calls(mark)["GET /users"] + d.calls(mark)["GET /users/{id}"]; n != 1 {
			t.Errorf("%s: %d calls of users", name, n)
		}
	}
	d.c = d.connect(conformance.Local(d.Server))
	_, out := d.export(s)
	for name := range out.Files {
		if strings.Contains(name, "..") || strings.ContainsAny(name, "\\\n\u202e") || strings.Count(name, "/") != 2 {
			t.Errorf("the file is called %q", name)
		}
	}
}

// A file that is gone from another host does not stop an export, and says so.
func TestExport_missingFile(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	mo := d.Find(company.Mo)
	talk := d.Talk(mo)
	d.SendFile(talk, mo, fake.File{ForMessage: true, File: fakekit.File{Name: "a.pdf", MediaType: "application/pdf", Text: "x", Size: 10}})
	s := d.located(conformance.Person(company.Mo))
	d.c = d.connect(hook{d.contract, func(r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_media/") {
			r.URL.Path = "/_media/none/x"
		}
	}})
	p, out := d.export(s)
	if p.Counts["files that their host does not give out"] != 1 || len(out.Files) != 0 || p.Counts["messages"] == 0 {
		t.Errorf("%v, %v", p.Counts, out.Files)
	}
}

// hook sees calls before they are made.
type hook struct {
	next   http.RoundTripper
	before func(*http.Request)
}

func (h hook) RoundTrip(r *http.Request) (*http.Response, error) {
	h.before(r)
	return h.next.RoundTrip(r)
}

// 10,000 messages are exported page by page, in constant memory, with a call for
// each page.
func TestExport_tenThousandMessages(t *testing.T) { // not parallel: it measures what is held
	d := unheldInbox(t, fake.Options{})
	mo := d.Find(company.Mo)
	talk := d.Talk(mo)
	for i := range 10_000 {
		d.Say(talk, mo, fmt.Sprintf("message %d: %s", i, strings.Repeat("where is my parcel? ", 20)))
	}
	s := d.located(conformance.Person(company.Mo))
	mark := len(d.Calls())
	out := &meter{}
	p, err := d.drive(connector.Call{Operation: connector.Export, Subject: s, Out: out})
	if err != nil || !p.Done || p.Counts["messages"] != 10_008 {
		t.Fatalf("%+v, %v", p.Counts, err)
	}
	calls := d.calls(mark)
	t.Logf("10,000 messages: calls %v, at most %d MB on the heap more than before", calls, out.most>>20)
	if calls["GET /conversations/{id}/messages"] != 101 || out.most > 32<<20 {
		t.Errorf("%v, %d bytes", calls, out.most)
	}
}

// meter counts records, and what is on the heap while they are written.
type meter struct {
	conformance.Recorder
	n     int
	first uint64
	most  uint64
}

// Record implements connector.Sink.
func (m *meter) Record(string, any) error {
	if m.n++; m.n%1000 == 1 {
		var now runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&now)
		if m.first == 0 {
			m.first = now.HeapAlloc
		}
		if now.HeapAlloc > m.first {
			m.most = max(m.most, now.HeapAlloc-m.first)
		}
	}
	return nil
}

// Through a real server, with a file of another host that does not fit into
// memory twice.
func TestExport_overHTTP(t *testing.T) { // not parallel: it measures what is allocated
	d := unheldInbox(t, fake.Options{})
	server := httptest.NewServer(d.Server)
	defer server.Close()
	const size = 64 << 20
	mo := d.Find(company.Mo)
	d.SendFile(d.Talk(mo), mo, fake.File{File: fakekit.File{Name: "film.mp4", MediaType: "video/mp4", Text: "0123456789", Size: size}})
	s := d.located(conformance.Person(company.Mo))
	o := d.options(nil)
	o.Config = json.RawMessage(strings.Replace(d.config, "https://example.zendesk.com/sc", server.URL+"/sc", 1))
	if _, err := zendeskmessaging.New(o); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "https://") {
		t.Errorf("http is accepted: %v", err)
	}
	o.Config = json.RawMessage(strings.Replace(string(o.Config), "{", `{"allow_local":true,`, 1))
	var err error
	if d.c, err = zendeskmessaging.New(o); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, out := d.export(s)
	runtime.ReadMemStats(&after)
	for name, n := range out.Files {
		if n != size || !strings.HasSuffix(name, " film.mp4") {
			t.Errorf("%q: %d bytes", name, n)
		}
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; len(out.Files) != 1 || allocated > size/2 || d.leaked() {
		t.Errorf("files %v, %d bytes allocated", out.Files, allocated)
	}
}
