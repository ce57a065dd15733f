// Package faulty breaks calls of AWS services on purpose: a Transport fails a
// call before it is sent, or lets the service apply it and then loses the reply,
// as a script or a seed says, and remembers every attempt that was made.
package faulty

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"

	"github.com/avow-consent/avow/internal/cloud"
)

// Fault is what becomes of one attempt of a call.
type Fault int

// The faults. Those after Lost leave the service changed.
const (
	None      Fault = iota
	Refused         // no connection: nothing was sent
	TimedOut        // nothing was applied, and no answer came in time
	Throttled       // the service asks to slow down
	Failed          // the service fails without having done anything
	Conflict        // S3: another writer is at the key at this moment (409, not applied)
	Lost            // applied, then the connection is reset
	LateReply       // applied, but the answer did not come in time
	Cut             // applied, but the answer breaks off in the middle of its body
	FailedYet       // applied, and the service answers 500 all the same
)

// Before are the faults of calls that were never applied, After those of calls
// that were.
var (
	Before = []Fault{Refused, TimedOut, Throttled, Failed}
	After  = []Fault{Lost, LateReply, Cut, FailedYet}
)

func (f Fault) String() string {
	names := []string{"none", "refused", "timed out", "throttled", "failed", "conflict", "reply lost", "reply late", "reply cut", "failed after applying"}
	return names[f]
}

// Applied reports whether the service has done what it was asked.
func (f Fault) Applied() bool { return f == None || f >= Lost }

// Call is one attempt of a call.
type Call struct {
	Operation string // like "dynamodb.PutItem", "s3.PutObject" or "ses.POST outbound-emails"
	Nth       int    // 1 for the first attempt of this operation since Reset
	Path      string // of the URL, without the leading slash: bucket and key on S3
	Body      []byte // as it was sent, before ReturnConsumedCapacity is added
	Fault     Fault
	Status    int      // of the service's own answer, 0 when it was not asked
	Consumed  Capacity // with Transport.Capacity

	dropped bool // the service failed without having been told to
}

// Capacity is what DynamoDB says that a call consumed.
type Capacity struct {
	Table   float64            // units of the table itself
	Indexes map[string]float64 // units of each index
}

// Total is what is paid for.
func (c Capacity) Total() float64 {
	total := c.Table
	for _, units := range c.Indexes {
		total += units
	}
	return total
}

// Script decides what becomes of an attempt. A Transport asks it about one attempt
// at a time, and about none once Break or Reset has returned, so it needs no lock
// for what it counts; one that serves two transports does. It must not call its
// Transport.
type Script func(Call) Fault

// Nth breaks the n-th attempt of an operation.
func Nth(operation string, n int, f Fault) Script {
	return func(c Call) Fault {
		if c.Operation == operation && c.Nth == n {
			return f
		}
		return None
	}
}

// Every breaks every attempt of an operation.
func Every(operation string, f Fault) Script {
	return func(c Call) Fault {
		if c.Operation == operation {
			return f
		}
		return None
	}
}

// Seeded breaks attempts at random: each with the given probability, with one of
// the faults. The same seed gives the same faults for the same order of calls.
func Seeded(seed uint64, probability float64, faults ...Fault) Script {
	random := rand.New(rand.NewPCG(seed, 0))
	return func(Call) Fault {
		if random.Float64() >= probability {
			return None
		}
		return faults[random.IntN(len(faults))]
	}
}

// Impatient is the retry policy of the functions without the waiting, for the
// Retryer of a configuration.
func Impatient() aws.Retryer { return retry.AddWithMaxBackoffDelay(cloud.Retryer(), time.Millisecond) }

// Transport breaks and remembers the calls of every client whose requests go
// through one of its wraps. Its zero value breaks nothing. It is safe for
// concurrent use.
type Transport struct {
	// Capacity asks DynamoDB to say what each write consumes.
	Capacity bool

	mu     sync.Mutex
	script Script
	calls  []*Call
	nth    map[string]int
}

// Wrap puts the transport in front of another one: awstest.Env.With takes it.
func (t *Transport) Wrap(next http.RoundTripper) http.RoundTripper { return &wrapped{t, next} }

// wrapped is a Transport in front of one other.
type wrapped struct {
	*Transport
	next http.RoundTripper
}

// Break sets the script; nil breaks nothing. It forgets the calls made so far.
func (t *Transport) Break(s Script) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.script, t.calls, t.nth = s, nil, nil
}

// Reset forgets the calls made so far and breaks nothing any more.
func (t *Transport) Reset() { t.Break(nil) }

// Calls are the attempts since Reset, in the order in which they began. Those
// that the emulator itself has dropped are left out: on a busy machine it does
// that, and the SDK tries again.
func (t *Transport) Calls() []Call {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []Call
	for _, c := range t.calls {
		if !c.dropped {
			list = append(list, *c)
		}
	}
	return list
}

// Counts counts Calls by operation.
func (t *Transport) Counts() map[string]int {
	counts := map[string]int{}
	for _, c := range t.Calls() {
		counts[c.Operation]++
	}
	return counts
}

// RoundTrip implements http.RoundTripper.
func (t *wrapped) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	call := t.begin(r, body)
	sent := r.Clone(r.Context())
	setBody(sent, t.ask(r, body))
	switch call.Fault {
	case Refused:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case TimedOut:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}
	case Throttled, Failed, Conflict:
		return answer(r, call.Fault), nil
	}
	response, err := t.next.RoundTrip(sent)
	if err == nil {
		err = t.end(call, response)
	}
	if err != nil {
		t.drop(call)
		return nil, err
	}
	switch call.Fault {
	case Lost:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	case LateReply:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}
	case Cut:
		response.Body = io.NopCloser(io.MultiReader(io.LimitReader(response.Body, 1), broken{}))
	case FailedYet:
		return answer(r, Failed), nil
	}
	return response, nil
}

// begin notes an attempt and asks the script.
func (t *Transport) begin(r *http.Request, body []byte) *Call {
	c := &Call{Operation: operation(r), Path: strings.TrimPrefix(r.URL.Path, "/"), Body: body}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.nth == nil {
		t.nth = map[string]int{}
	}
	t.nth[c.Operation]++
	c.Nth = t.nth[c.Operation]
	t.calls = append(t.calls, c)
	if t.script != nil {
		c.Fault = t.script(*c)
	}
	return c
}

// end reads the answer, so that the caller gets it whole or not at all.
func (t *Transport) end(c *Call, response *http.Response) error {
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	t.mu.Lock()
	defer t.mu.Unlock()
	c.Status, c.dropped = response.StatusCode, response.StatusCode >= http.StatusInternalServerError
	if t.Capacity {
		c.Consumed = consumed(body)
	}
	return nil
}

func (t *Transport) drop(c *Call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.dropped = true
}

// operation names the call that a request makes.
func operation(r *http.Request) string {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		service, name, _ := strings.Cut(target, ".")
		service, _, _ = strings.Cut(strings.ToLower(service), "_") // DynamoDB_20120810
		return service + "." + name
	}
	if strings.HasPrefix(r.URL.Path, "/v2/email/") {
		return "ses." + r.Method + " " + strings.TrimPrefix(r.URL.Path, "/v2/email/")
	}
	names := map[string]string{http.MethodPut: "PutObject", http.MethodGet: "GetObject", http.MethodHead: "HeadObject", http.MethodDelete: "DeleteObject"}
	if name, ok := names[r.Method]; ok {
		return "s3." + name
	}
	return "s3." + r.Method
}

// ask adds to a write of DynamoDB the wish to know what it consumes.
func (t *Transport) ask(r *http.Request, body []byte) []byte {
	var fields map[string]json.RawMessage
	if !t.Capacity || !strings.HasPrefix(operation(r), "dynamodb.") || json.Unmarshal(body, &fields) != nil {
		return body
	}
	fields["ReturnConsumedCapacity"] = json.RawMessage(`"INDEXES"`)
	asked, err := json.Marshal(fields)
	if err != nil {
		return body
	}
	return asked
}

// units is what an answer says of one table.
type units struct {
	CapacityUnits          float64
	Table                  *struct{ CapacityUnits float64 }
	GlobalSecondaryIndexes map[string]struct{ CapacityUnits float64 }
}

// consumed adds up what an answer says: of one table, or of each table of a
// batch or a transaction.
func consumed(body []byte) Capacity {
	var reply struct{ ConsumedCapacity json.RawMessage }
	_ = json.Unmarshal(body, &reply) // not an answer of DynamoDB: nothing consumed
	var tables []units
	if json.Unmarshal(reply.ConsumedCapacity, &tables) != nil {
		tables = make([]units, 1)
		_ = json.Unmarshal(reply.ConsumedCapacity, &tables[0])
	}
	var c Capacity
	for _, t := range tables {
		if t.Table == nil {
			c.Table += t.CapacityUnits
			continue
		}
		c.Table += t.Table.CapacityUnits
		for name, index := range t.GlobalSecondaryIndexes {
			if c.Indexes == nil {
				c.Indexes = map[string]float64{}
			}
			c.Indexes[name] += index.CapacityUnits
		}
	}
	return c
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

func setBody(r *http.Request, body []byte) {
	if r.Body == nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
}

// broken is where an answer breaks off.
type broken struct{}

func (broken) Read([]byte) (int, error) {
	return 0, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

// answer is what the service itself would say.
func answer(r *http.Request, f Fault) *http.Response {
	status, code := http.StatusInternalServerError, "InternalServerError"
	s3 := strings.HasPrefix(operation(r), "s3.")
	switch {
	case f == Throttled && s3:
		status, code = http.StatusServiceUnavailable, "SlowDown"
	case f == Throttled:
		status, code = http.StatusBadRequest, "ThrottlingException"
	case f == Conflict:
		status, code = http.StatusConflict, "ConditionalRequestConflict"
	case s3:
		code = "InternalError"
	}
	contentType, body := "application/x-amz-json-1.0", `{"__type":"com.amazonaws.service#`+code+`","message":"made up by a test"}`
	if s3 {
		contentType, body = "application/xml", `<?xml version="1.0" encoding="UTF-8"?><Error><Code>`+code+`</Code><Message>made up by a test</Message></Error>`
	}
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {contentType}, "X-Amzn-Requestid": {"faulty"}},
		Body:          io.NopCloser(strings.NewReader(body)),
		ContentLength: int64(len(body)), Request: r,
	}
}
