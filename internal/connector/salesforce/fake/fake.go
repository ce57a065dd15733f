// Package fake is a server that behaves like Salesforce as far as the connector
// salesforce uses it: records of several objects, queries, searches, the Recycle
// Bin, Bulk API jobs that take time, and both logins without a person. Its rules
// are those of the vendor that a careless client breaks: a deletion only moves
// a record to the bin, a job that is complete may have failed rows, a converted
// lead cannot be changed, and a limit is told with 403. It is never linked into
// a function.
package fake

import (
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// The client of the connected app, unless Options say otherwise.
const (
	ID       = "avow"
	Secret   = "salesforce-secret"
	Username = "avow@example.test"
	Version  = "66.0"
)

// How long things last.
const (
	Session = 2 * time.Hour       // a login; the answer to it does not say so
	Bin     = 15 * 24 * time.Hour // the Recycle Bin
	Job     = 90 * time.Second    // a Bulk API job after its upload
)

// Options of a Server. The zero value is a seeded company by the real clock.
type Options struct {
	fakekit.Options
	Key       *rsa.PublicKey // of the certificate for JWT bearer; nil: that login is not set up
	Daily     int            // calls in a day; 0: 100,000
	PageSize  int            // rows of a page of a query; 0: 2,000
	Instance  string         // instance_url; "": the address that was called
	Empty     bool           // nobody is there yet
	NoPrivacy bool           // Data Protection and Privacy is not enabled: there is no Individual
	NoHard    bool           // the user may not hard delete
}

// Server is the vendor. It is safe for concurrent use.
type Server struct {
	*fakekit.Server
	o      Options
	secret string
	data   Data
}

// Data is everything that the vendor holds.
type Data struct {
	Records map[string]*Record
	Jobs    map[string]*BulkJob
	Spent   int // calls of the day
	Day     time.Time
	Vetoed  map[string]string // ids that a trigger protects, with the code it answers
	Locked  int               // writes that still meet a locked row
}

// Record is a record of an object.
type Record struct {
	ID, Type  string
	Fields    map[string]any
	Deleted   bool
	DeletedAt time.Time
}

// text is a field as text.
func (r *Record) text(field string) string {
	s, _ := r.value(field).(string)
	return s
}

// value is a field as a query sees it.
func (r *Record) value(field string) any {
	switch field {
	case "Id":
		return r.ID
	case "IsDeleted":
		return r.Deleted
	}
	return r.Fields[field]
}

// New returns a Server.
func New(o Options) *Server {
	if o.Daily == 0 {
		o.Daily = 100_000
	}
	if o.PageSize == 0 {
		o.PageSize = 2000
	}
	s := &Server{o: o, secret: Secret, data: Data{Records: map[string]*Record{}, Jobs: map[string]*BulkJob{}, Vetoed: map[string]string{}}}
	s.Server = fakekit.New(o.Options, fakekit.Rules{
		Prefix: "/services/data/v" + Version, Data: &s.data, Settle: s.settle,
		Open:   func(r *http.Request) bool { return s.Valid(r) },
		Denied: func() (int, any) { return problem(401, "INVALID_SESSION_ID", "Session expired or invalid") },
		Busy: func(status int) any {
			_, body := problem(status, "SERVER_UNAVAILABLE", "Server unavailable")
			return body
		},
		Forms: []string{""},
	})
	s.routes()
	if !o.Empty {
		s.seed()
	}
	return s
}

func (s *Server) routes() {
	s.Free("POST /services/oauth2/token", s.token)
	for pattern, handle := range map[string]func(*http.Request) (int, any){
		"GET /query":                           s.query,
		"GET /query/{locator}":                 s.queryMore,
		"GET /queryAll":                        s.query,
		"GET /search":                          s.search,
		"GET /limits":                          s.limits,
		"GET /sobjects/{type}/describe":        s.describe,
		"POST /sobjects/{type}":                s.create,
		"GET /sobjects/{type}/{id}":            s.get,
		"PATCH /sobjects/{type}/{id}":          s.patch,
		"DELETE /sobjects/{type}/{id}":         s.remove,
		"GET /sobjects/{type}/{field}/{value}": s.byExternalID,
		"POST /composite":                      s.composite,
		"POST /composite/sobjects/{type}":      s.retrieve,
		"DELETE /composite/sobjects":           s.removeMany,
		"POST /jobs/ingest":                    s.createJob,
		"PUT /jobs/ingest/{id}/batches":        s.upload,
		"PATCH /jobs/ingest/{id}":              s.closeJob,
		"GET /jobs/ingest/{id}":                s.getJob,
		"GET /jobs/ingest/{id}/failedResults":  s.failedResults,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		s.API(method+" /services/data/v"+Version+path, s.counted(handle))
	}
	s.Free("/", func(*http.Request) (int, any) {
		return problem(404, "NOT_FOUND", "The requested resource does not exist")
	})
}

// counted takes a call off the day's limit. Beyond it every call is refused,
// with 403 and without a word about when to return.
func (s *Server) counted(handle func(*http.Request) (int, any)) func(*http.Request) (int, any) {
	return func(r *http.Request) (int, any) {
		if today := s.Time().Truncate(24 * time.Hour); !today.Equal(s.data.Day) {
			s.data.Day, s.data.Spent = today, 0
		}
		if s.data.Spent >= s.o.Daily {
			return problem(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
		}
		s.data.Spent++
		if r.Method != http.MethodGet && s.data.Locked > 0 {
			s.data.Locked--
			return problem(400, "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
		}
		return handle(r)
	}
}

func (s *Server) limits(*http.Request) (int, any) {
	return 200, map[string]any{"DailyApiRequests": map[string]int{"Max": s.o.Daily, "Remaining": s.o.Daily - s.data.Spent}}
}

// problem is an error of the data API: an array. The token endpoint has another form.
func problem(status int, code, message string, fields ...string) (int, any) {
	return status, []map[string]any{{"message": message, "errorCode": code, "fields": append([]string{}, fields...)}}
}

func noRecord() (int, any) {
	return problem(404, "NOT_FOUND", "The requested resource does not exist")
}

// settle empties the bin and runs jobs.
func (s *Server) settle() {
	for id, r := range s.data.Records {
		if r.Deleted && s.Time().Sub(r.DeletedAt) >= s.Lasts(Bin) {
			delete(s.data.Records, id)
		}
	}
	s.run()
}

// SetSecret replaces the client's secret and ends all sessions.
func (s *Server) SetSecret(secret string) {
	s.Settled(func() { s.secret = secret })
	s.Revoke()
}

// Change lets a test alter what the vendor holds.
func (s *Server) Change(f func(d *Data)) { s.Settled(func() { f(&s.data) }) }

// Set changes a field of a record, as somebody who works there does.
func (s *Server) Set(id, field string, value any) {
	s.Settled(func() {
		r := s.data.Records[id]
		r.Fields[field] = value
		s.touch(r)
	})
}

// Add adds a record and returns its id.
func (s *Server) Add(object string, fields map[string]any) (id string) {
	s.Settled(func() { id = s.add(object, fields).ID })
	return id
}

func (s *Server) add(object string, fields map[string]any) *Record {
	n := atoi(s.Number())
	r := &Record{ID: recordID(schema[object].prefix, n), Type: object, Fields: map[string]any{}}
	for name, value := range fields {
		r.Fields[name] = value
	}
	if r.Fields["CreatedDate"] == nil && schema[object].field("CreatedDate") != nil {
		r.Fields["CreatedDate"] = instant(s.Time())
	}
	s.data.Records[r.ID] = r
	s.touch(r)
	return r
}

// touch notes when a record was changed.
func (s *Server) touch(r *Record) {
	if schema[r.Type].field("SystemModstamp") != nil {
		r.Fields["SystemModstamp"] = instant(s.Time())
	}
}

func recordID(prefix string, n int) string {
	text := strconv.Itoa(n)
	return prefix + strings.Repeat("0", 12-len(text)) + text + "AAA"
}

// Of are the records of an object, those in the bin too, in order.
func (s *Server) Of(object string) (list []Record) {
	s.Settled(func() {
		for _, r := range s.all(object, true) {
			list = append(list, *r)
		}
	})
	return list
}

// all are the records of an object; bin includes those that were deleted, and old
// activities that Salesforce has archived.
func (s *Server) all(object string, bin bool) (list []*Record) {
	for _, r := range s.data.Records {
		if r.Type == object && (bin || !r.Deleted && !r.archived()) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *Record) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// State is a copy of the records, without the times of making and deletion.
func (s *Server) State() map[string]Record {
	state := map[string]Record{}
	s.Settled(func() {
		text, err := json.Marshal(s.data.Records)
		if err == nil {
			err = json.Unmarshal(text, &state)
		}
		if err != nil {
			panic(err) // plain data
		}
	})
	for id, r := range state {
		r.DeletedAt = time.Time{}
		delete(r.Fields, "CreatedDate")
		delete(r.Fields, "SystemModstamp")
		state[id] = r
	}
	return state
}
