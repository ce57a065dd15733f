package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/project"
	"github.com/avow-consent/avow/internal/setup"
)

// manyfold makes a table look larger than it is: the first row of each partition
// of an index stands for total rows, each a minute older than the one before.
type manyfold struct {
	next  http.RoundTripper
	index string
	total int
	older func(row map[string]map[string]any, by time.Duration)

	mu    sync.Mutex
	first map[string][]byte // the first row of a partition
	given map[string]int    // rows of a partition that were given out since reset
}

func (m *manyfold) reset(total int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total, m.given = total, map[string]int{}
}

// rows is how many rows were given out since reset.
func (m *manyfold) rows() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, given := range m.given {
		n += given
	}
	return n
}

func (m *manyfold) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".Query") {
		return m.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var query struct {
		IndexName                 string
		Limit                     int
		ExpressionAttributeValues map[string]map[string]string
	}
	if err := json.Unmarshal(body, &query); err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if query.IndexName != m.index {
		return m.next.RoundTrip(r)
	}
	partition := query.ExpressionAttributeValues[":l"]["S"] + query.ExpressionAttributeValues[":p"]["S"]
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.first[partition] == nil {
		response, err := m.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		var page struct{ Items []json.RawMessage }
		err = json.NewDecoder(response.Body).Decode(&page)
		if response.Body.Close(); err != nil {
			return nil, err
		}
		m.first[partition] = []byte("null")
		if len(page.Items) > 0 {
			m.first[partition] = page.Items[0]
		}
	}
	items := []map[string]map[string]any{}
	for string(m.first[partition]) != "null" && len(items) < query.Limit && m.given[partition] < m.total {
		var row map[string]map[string]any
		if err := json.Unmarshal(m.first[partition], &row); err != nil {
			return nil, err
		}
		m.older(row, time.Duration(m.given[partition])*time.Minute)
		m.given[partition]++
		items = append(items, row)
	}
	out, err := json.Marshal(map[string]any{"Items": items, "Count": len(items), "ScannedCount": len(items)})
	return &http.Response{
		StatusCode: 200, Request: r, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(out)), ContentLength: int64(len(out)),
	}, err
}

// onTop puts a manyfold between the API and the emulator.
func (d *desk) onTop(m *manyfold) *manyfold {
	m.first, m.given = map[string][]byte{}, map[string]int{}
	m.next, d.wire.next = d.wire.next, m
	return m
}

// project brings the views to what the ledger says.
func (d *desk) project() {
	d.t.Helper()
	base, err := setup.NewBase(d.t.Context(), d.env.Function("project"))
	if err != nil {
		d.t.Fatal(err)
	}
	base.Config, base.Now = d.env.Config, d.clock
	if _, err := project.RebuildOn(d.t.Context(), base, nil); err != nil {
		d.t.Fatal(err)
	}
}

// A filter that would read too many consents is refused; a list without one
// reads what it shows.
func TestListConsents_readBudget(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.pass(27*24*time.Hour + 12*time.Hour) // late in the month: older rows are of the same one
	for i := range 8 {                     // something in both shards
		d.want(d.do(call{method: "POST", path: "/consent", body: fmt.Sprintf(`{"subject":{"id":"s%d"},"preferences":{"a":true}}`, i)}), 200, "")
		d.pass(time.Millisecond)
	}
	d.project()
	const budget, chunk, shards = 3000, 200, 2
	rows := d.onTop(&manyfold{index: "Listing", older: func(row map[string]map[string]any, by time.Duration) {
		id := row["id"]["S"].(string)
		row["id"]["S"] = idAt(consent.IDTime(id).Add(-by), id)
	}})
	for _, query := range []string{"source=public", "ip_address=203.0.113.7", "consent_type=x", "preference_key=b", "subject_verified=true", "subject_email=x", "source=public&limit=1"} {
		rows.reset(1 << 20)
		d.want(d.get("/consent", query), 400, `{"code":"too_broad"}`)
		if n := rows.rows(); n > budget+shards*chunk {
			t.Errorf("%s read %d rows", query, n)
		}
		// A time range brings it below the budget; here, fewer rows.
		rows.reset(1000)
		d.want(d.get("/consent", query), 200, "[]")
	}
	for query, most := range map[string]int{"": 22, "limit=1": 4, "limit=100": 202, "from_time=2026-02-01T00:00:00Z": 22} {
		rows.reset(1 << 20)
		r := d.get("/consent", query)
		d.want(r, 200, "")
		if n := rows.rows(); n > most || r.header["Link"] == "" {
			t.Errorf("%q read %d rows, want at most %d; Link %q", query, n, most, r.header["Link"])
		}
	}
	// A filter that enough rows meet reads no more than it needs.
	rows.reset(1 << 20)
	d.want(d.get("/consent", "source=private&limit=100"), 200, "")
	if n := rows.rows(); n > shards*chunk {
		t.Errorf("a filter that all rows meet read %d of them", n)
	}
}

// The same for subjects.
func TestListSubjects_readBudget(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.want(d.do(call{method: "POST", path: "/subjects", body: `{"id":"ada"}`}), 200, "")
	d.project()
	rows := d.onTop(&manyfold{index: "BySite", older: func(row map[string]map[string]any, by time.Duration) {
		at, subject, _ := strings.Cut(row["created"]["S"].(string), "#")
		const layout = "20060102T150405.000Z"
		created, err := time.Parse(layout, at)
		if err != nil {
			t.Error(err)
		}
		row["created"]["S"] = created.Add(-by).Format(layout) + "#" + subject
	}})
	for _, query := range []string{"verified=true", "first_name=A", "email=xy&verified=true&limit=100", "first_name=Eva"} {
		rows.reset(1 << 20)
		r := d.get("/subjects", query)
		if strings.HasPrefix(query, "verified") || query == "first_name=A" {
			d.want(r, 400, `{"code":"too_broad"}`)
		} else {
			d.want(r, 200, "[]") // search entries tell
		}
		if n := rows.rows(); n > consent.MaxScan {
			t.Errorf("%s read %d rows", query, n)
		}
	}
	rows.reset(1 << 20)
	d.want(d.get("/subjects", "limit=3"), 200, "")
	if n := rows.rows(); n > 4 {
		t.Errorf("an unfiltered page of 3 read %d rows", n)
	}
}

// idAt is an id with another time.
func idAt(at time.Time, id string) string {
	ms := fmt.Sprintf("%012x", at.UnixMilli())
	return ms[:8] + "-" + ms[8:] + id[13:]
}

// What a read of a person costs does not depend on the size of the site: by id,
// by e-mail, in a list.
func TestReads_calls(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	post := func(body string) string {
		r := d.do(call{method: "POST", path: "/consent", body: body})
		d.want(r, 200, "")
		var ack struct{ ID string }
		if err := json.Unmarshal(r.body, &ack); err != nil {
			t.Fatal(err)
		}
		d.pass(time.Second)
		return ack.ID
	}
	id := post(`{"subject":{"id":"ada","email":"ada@example.test"},"preferences":{"a":true},"proofs":[{"content":"x"}]}`)
	post(`{"subject":{"id":"ada"},"preferences":{"a":false}}`)
	d.project()
	d.get("/preferences", "") // the key and the site are known now
	for _, tt := range []struct {
		path, query string
		most        map[string]int
	}{
		{"/consent/" + id, "subject_id=ada", map[string]int{"GetItem": 1, "Query": 2}},    // the record; the person: ada and the e-mail's own subject
		{"/consent/" + id, "", map[string]int{"GetItem": 1, "Query": 3}},                  // and the index
		{"/subjects/ada", "", map[string]int{"Query": 2}},                                 //
		{"/subjects", "id=ada", map[string]int{"Query": 2}},                               //
		{"/decide", "subject_id=ada&preference=a", map[string]int{"Query": 2}},            //
		{"/decide", "email=ada@example.test&preference=a", map[string]int{"Query": 2}},    //
		{"/subjects/ada/consent/last", "", map[string]int{"Query": 3}},                    //
		{"/consent", "subject_id=ada", map[string]int{"Query": 1, "BatchGetItem": 1}},     // the view shows the person
		{"/consent", "", map[string]int{"GetItem": 1, "Query": 2, "BatchGetItem": 1}},     // the site's months; a query for each shard of the month
		{"/subjects", "limit=1", map[string]int{"Query": 3}},                              // the index, and the person it shows
		{"/consent", "subject_id=nobody", map[string]int{"Query": 1}},                     //
		{"/decide", "subject_id=nobody&preference=a", map[string]int{"Query": 1}},         //
		{"/consent/" + id, "subject_id=nobody", map[string]int{"GetItem": 1, "Query": 0}}, //
	} {
		calls := d.wire.count(func() { d.get(tt.path, tt.query) })
		for operation, n := range calls {
			if n > tt.most[operation] {
				t.Errorf("GET %s?%s made %v, want at most %v", tt.path, tt.query, calls, tt.most)
				break
			}
		}
	}
}
