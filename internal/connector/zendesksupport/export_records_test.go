package zendesksupport_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/zendesksupport"
	"github.com/avow-consent/avow/internal/connector/zendesksupport/fake"
)

// Every list is read with page[size]: without it Zendesk silently answers by
// offset. The search for users is the only one that has no cursor.
func TestExport_cursorsOnly(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	s := d.located(conformance.Person(company.Ines))
	d.must(connector.Call{Operation: connector.Export, Subject: s, Out: &conformance.Recorder{}})
	d.must(erase(s))
	lists := []string{"/identities", "/sessions", "/tickets/{list}", "/comments", "/audits", "/compliance_deletion_statuses", "/search/export", "/suspended_tickets", "/deleted_users"}
	seen := map[string]bool{}
	for _, c := range d.Calls() {
		for _, list := range lists {
			if c.Method == "GET" && strings.HasSuffix(c.Route, list) {
				seen[list] = true
				if !strings.Contains(c.Query, "page%5Bsize%5D=") {
					t.Errorf("%s?%s", c.Route, c.Query)
				}
			}
		}
	}
	if len(seen) != len(lists) {
		t.Errorf("only %v were read", seen)
	}
}

// Through a real server: files lie at another host, one has a hostile name and
// does not fit into memory twice, one was redacted meanwhile.
func TestExport_overHTTP(t *testing.T) { // not parallel: it measures what is allocated
	d := small(t, "")
	server := httptest.NewServer(d.Server)
	defer server.Close()
	const size = 64 << 20
	ticket := d.AddTicket(fake.Ticket{Requester: d.Find(company.Leo)}, "<p>see the film</p>")
	d.AddFile(ticket, fakekit.File{Name: "../film\u202e.mp4", MediaType: "video/mp4", Text: "0123456789", Size: size})
	d.AddFile(ticket, fakekit.File{Name: "redacted.txt", MediaType: "text/plain"})
	s := d.located(conformance.Person(company.Leo))
	o := d.options(nil)
	o.Config = json.RawMessage(`{"base_url":"` + server.URL + `","allow_local":true}`)
	var err error
	if d.c, err = zendesksupport.New(o); err != nil {
		t.Fatal(err)
	}
	out := &conformance.Recorder{}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p := d.must(connector.Call{Key: "k", Operation: connector.Export, Subject: s, Out: out})
	runtime.ReadMemStats(&after)
	for name, n := range out.Files {
		if strings.Contains(name, "..") || strings.Contains(name, "\u202e") || !strings.HasPrefix(name, "tickets/") || n != size {
			t.Errorf("the file is called %q and has %d bytes", name, n)
		}
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; len(out.Files) != 1 || p.Counts["files"] != 1 || allocated > size/2 {
		t.Errorf("files %v, %d bytes allocated", out.Files, allocated)
	}
	for _, c := range d.Calls() {
		if c.Route == "LEAKED TOKEN" {
			t.Error("the host of the files got the token")
		}
	}
}

// A file that is gone, or whose host is away for good, is counted and marked
// where it belonged; the rest is exported.
func TestExport_unavailableFiles(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status  int
		failing time.Duration
		want    string
	}{"gone": {404, 0, `"unavailable":"not_found"`}, "away": {503, 24 * time.Hour, `"unavailable":"unavailable"`}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := small(t, "")
			ticket := d.AddTicket(fake.Ticket{Requester: d.Find(company.Leo)}, "<p>see the two</p>")
			d.AddFile(ticket, fakekit.File{Name: "lost.pdf", MediaType: "application/pdf", Text: "x", Size: 10})
			d.AddFile(ticket, fakekit.File{Name: "there.pdf", MediaType: "application/pdf", Text: "x", Size: 10})
			lost := fmt.Sprint(d.Ticket(ticket).Comments[0].Files[0])
			s := d.located(conformance.Person(company.Leo))
			d.c = d.connect(liar{conformance.Local(d.Server), func(r *http.Request) (int, string) {
				if strings.HasSuffix(r.URL.Path, "/_files/"+lost) {
					return tt.status, "gone"
				}
				return 0, ""
			}})
			out := &conformance.Recorder{}
			p := d.must(connector.Call{Key: "k", Operation: connector.Export, Subject: s, Out: out, Failing: tt.failing})
			if p.Counts["files"] != 1 || p.Counts["unavailable_files"] != 1 || len(out.Files) != 1 {
				t.Errorf("%v, %v", p.Counts, out.Files)
			}
			all := strings.Join(out.Records["comment"], "\n")
			if strings.Count(all, tt.want) != 1 || !strings.Contains(all, `"file_name":"lost.pdf"`) {
				t.Errorf("%s", all)
			}
		})
	}
}

// nowhere is a sink that only counts.
type nowhere struct{ records int }

func (n *nowhere) Record(_ string, v any) error {
	n.records++
	_, err := json.Marshal(v)
	return err
}

func (n *nowhere) File(_ context.Context, _, _ string, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// A person with ten thousand tickets is located, exported and erased in pieces
// whose memory and handles do not grow, and whose calls stay within the limit.
func TestTenThousandTickets(t *testing.T) { // not parallel: it measures what is allocated
	if testing.Short() {
		t.Skip("it takes a while")
	}
	d := small(t, "")
	mo := d.Find(company.Mo)
	const tickets = 10000
	for i := range tickets {
		d.AddTicket(fake.Ticket{Requester: mo, Subject: fmt.Sprint("Order ", i)}, "<p>Where is my parcel?</p>")
	}
	d.Advance(time.Hour)
	s := d.located(conformance.Person(company.Mo))
	located := len(d.Calls())

	sink := &nowhere{}
	most, exported := d.heaviest(connector.Call{Operation: connector.Export, Subject: s, Out: sink})
	exportCalls := len(d.Calls()) - located
	if exported["tickets"] != tickets || sink.records != 1+2+1+3*tickets {
		t.Errorf("%v, %d records", exported, sink.records)
	}
	t.Logf("export: %d calls, at most %d kB allocated in a piece, handle %d bytes", exportCalls, most.bytes>>10, most.handle)
	if exportCalls != 20607 || most.bytes > 16<<20 || most.handle > 200 {
		t.Errorf("%d calls, %+v", exportCalls, most)
	}

	most, erased := d.heaviest(connector.Call{Operation: connector.Erase, Subject: s})
	eraseCalls := len(d.Calls()) - exportCalls - located
	if erased["tickets"] != tickets || erased["users"] != 1 {
		t.Errorf("%v", erased)
	}
	t.Logf("erasure: %d calls, at most %d kB allocated in a piece, handle %d bytes", eraseCalls, most.bytes>>10, most.handle)
	if eraseCalls != 879 || most.bytes > 16<<20 || most.handle > 2048 {
		t.Errorf("%d calls, %+v", eraseCalls, most)
	}
	if n := d.Beyond(); n > 0 {
		t.Errorf("the limit was exceeded %d times", n)
	}
}

// survey is more calls than any piece of work makes but the one that looks for
// archived tickets, which reads two lists of ids to their end.
const survey = 150

// weight is what a piece of work has cost at most.
type weight struct {
	bytes  uint64
	handle int
}

// heaviest drives an operation to its end.
func (d *desk) heaviest(call connector.Call) (most weight, counts map[string]int) {
	d.t.Helper()
	counts = map[string]int{}
	do := d.c.Start
	var before, after runtime.MemStats
	for range 5000 {
		call.Now = d.Now()
		calls := len(d.Calls())
		runtime.ReadMemStats(&before)
		p, err := do(d.t.Context(), call)
		runtime.ReadMemStats(&after)
		if err != nil {
			d.t.Fatal(err)
		}
		for kind, n := range p.Counts {
			counts[kind] += n
		}
		most.handle = max(most.handle, len(p.Handle))
		if len(d.Calls())-calls < survey {
			most.bytes = max(most.bytes, after.TotalAlloc-before.TotalAlloc)
		}
		if p.Done {
			return most, counts
		}
		call.Handle, do = p.Handle, d.c.Poll
		if p.After == 0 {
			p.After = time.Hour
		}
		d.Advance(p.After)
	}
	d.t.Fatal("it never ends")
	return most, counts
}
