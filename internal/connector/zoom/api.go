package zoom

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// codes are the vendor's error codes that may stand in an error text. None of
// them is a kind of error by itself: each endpoint means something else by it.
var codes = func() map[string]errs.Kind {
	known := map[string]errs.Kind{"invalid_client": errs.Forbidden, "bad_request": "", "unsupported_grant_type": ""}
	for _, code := range []string{
		"124", "200", "300", "301", "400", "404", "429", "1000", "1001", "1010", "1107", "1117", "1120", "2001", "3000", "3001", "3301",
		"4700", "4702", "4704", "4705", "4711", "7012", "7013",
	} {
		known[code] = ""
	}
	return known
}()

// codeOf is the code of an error: a number, or a word of the login.
func codeOf(a *kit.Answer) string {
	var body struct {
		Code  json.Number `json:"code"`
		Error string      `json:"error"`
	}
	if a.JSON(&body) != nil {
		return ""
	}
	if body.Error != "" {
		return body.Error
	}
	return body.Code.String()
}

// newClients returns a client, and one that makes a single attempt.
func newClients(o kit.System, c config) (api, once *kit.Client, err error) {
	options := o.Kit
	options.System, options.AllowLocal, options.Now, options.Codes, options.Code = o.Inventory.System, c.AllowLocal, o.Now, codes, codeOf
	options.Base, options.Transport = c.LoginURL, o.Transport
	door, err := kit.New(options)
	if err != nil {
		return nil, nil, err
	}
	options.Base = c.BaseURL
	options.Login = login(door, c.AccountID, o)
	if _, err := kit.New(options); err != nil { // before its address is used
		return nil, nil, err
	}
	p := &pace{next: o.Transport, gap: time.Second / time.Duration(c.PerSecond), now: o.Now, sleep: o.Kit.Sleep}
	if p.next == nil {
		base, _ := url.Parse(c.BaseURL)
		p.next = kit.NewTransport(base.Host, c.AllowLocal)
	}
	options.Transport = p
	if api, err = kit.New(options); err != nil {
		return nil, nil, err
	}
	options.Attempts = 1
	once, err = kit.New(options)
	return api, once, err
}

// login fetches tokens by the credentials of a Server-to-Server OAuth app. There
// are no refresh tokens: another one is asked for.
func login(door *kit.Client, account string, o kit.System) *kit.Tokens {
	read := kit.Secret(o.Inventory.System, o.Secret)
	return kit.NewTokens(o.Now, func(ctx context.Context) (string, time.Duration, error) {
		own, err := read(ctx)
		if err != nil {
			return "", 0, err
		}
		a, err := door.Do(ctx, kit.Call{
			Method: http.MethodPost, Route: kit.To("/oauth/token"), Repeatable: true,
			Form:   url.Values{"grant_type": {"account_credentials"}, "account_id": {account}},
			Header: http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(own.ID+":"+own.Secret))}},
		})
		if err != nil {
			return "", 0, err
		}
		var granted struct {
			Token   string  `json:"access_token"`
			Expires float64 `json:"expires_in"`
		}
		if err := a.JSON(&granted); err != nil {
			return "", 0, err
		}
		if granted.Token == "" {
			return "", 0, errs.New(errs.Internal, "%s POST /oauth/token: the answer has no token", o.Inventory.System)
		}
		return "Bearer " + granted.Token, time.Duration(max(0, granted.Expires)) * time.Second, nil
	})
}

// pace keeps calls apart: the limits are those of the whole account, which
// others use, too. The headers that tell how much is left may be missing.
type pace struct {
	next  http.RoundTripper
	gap   time.Duration
	now   func() time.Time
	sleep func(context.Context, time.Duration) error // nil: real time

	mu   sync.Mutex
	free time.Time // when the next call may be made
}

// RoundTrip implements http.RoundTripper.
func (p *pace) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	now := p.now()
	wait := p.free.Sub(now)
	p.free = now.Add(max(0, wait) + p.gap)
	p.mu.Unlock()
	if wait > 0 && p.sleep != nil {
		if err := p.sleep(r.Context(), wait); err != nil {
			return nil, err
		}
	} else if wait > 0 {
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-time.After(wait):
		}
	}
	return p.next.RoundTrip(r)
}

// Refusals that mean "there is none", as status and code. Which ones do is said
// at each call, because a code means something else at each endpoint.
const (
	noUser       = "404/1001"
	noEvent      = "404/3001"
	noRegistrant = "404/3000"
	noRecording  = "404/3301"
)

var (
	// A meeting that nobody has to register for, that has expired, or that is none.
	noRegistration = []string{"300/300", "400/300", "400/3000", "404/300", "404/3000", noEvent, noUser}
	// A session of one person, or one that the reports do not reach.
	noSession = []string{"300/300", "400/300", "400/3000", "404/300", "404/404", noEvent, noUser}
	// A user without a licence for webinars.
	noWebinars = []string{"400/200", noUser}
	// A user without a telephone, where each endpoint has a code of its own.
	noPhone = []string{"400/300", "404/300", "404/404", "404/2001", noUser}
)

// do makes a call; found is false for a refusal that means "there is none".
func (c *Connector) do(ctx context.Context, call kit.Call, none ...string) (a *kit.Answer, found bool, err error) {
	return c.by(ctx, c.api, call, none...)
}

func (c *Connector) by(ctx context.Context, api *kit.Client, call kit.Call, none ...string) (a *kit.Answer, found bool, err error) {
	call.Expect = []int{http.StatusMultipleChoices, http.StatusBadRequest, http.StatusNotFound}
	a, err = api.Do(ctx, call)
	if err != nil {
		return nil, false, err
	}
	if a.Status < 300 {
		return a, true, nil
	}
	if body := (record{}); !a.Empty() {
		if err := a.JSON(&body); err != nil { // a page of somebody in between: no word of Zoom
			return nil, false, err
		}
	}
	code := codeOf(a)
	if slices.Contains(none, strconv.Itoa(a.Status)+"/"+code) {
		return a, false, nil
	}
	return nil, false, c.refusal(call, a.Status, code)
}

// errRefused marks an answer that is no outcome of a call.
var errRefused = errors.New("refused")

// refusal is an error without a word of the answer but its code.
func (c *Connector) refusal(call kit.Call, status int, code string) error {
	kind := errs.Invalid
	if status == http.StatusNotFound {
		kind = errs.NotFound
	}
	if _, ok := codes[code]; !ok {
		code = "of an unknown code"
	}
	return errs.Wrap(kind, errRefused, "%s %s %s: status %d %s", c.inventory.System, call.Method, call.Route, status, code)
}

// get reads one record; nil where there is none.
func (c *Connector) get(ctx context.Context, route kit.Route, none ...string) (record, error) {
	a, found, err := c.do(ctx, kit.Call{Method: http.MethodGet, Route: route}, none...)
	if err != nil || !found {
		return nil, err
	}
	r := record{}
	return r, a.JSON(&r)
}

const (
	maxPages = 1000 // of one list
	restarts = 3    // of a list whose token died on the way
)

// A list is where rows come from. Only those that keep takes are held.
type list struct {
	route  kit.Route
	fields []string // of the answer, that hold rows; which one depends on Zoom's version
	size   int      // of a page; 0: 300
	keep   func(record) bool
	none   []string
}

// rows reads a whole list. A token that has died begins it again: it is good
// for a quarter of an hour only.
func (c *Connector) rows(ctx context.Context, l list) (kept []record, err error) {
	for range restarts {
		kept = nil
		dead := false
		err = kit.Walk(maxPages, func(token string) (string, error) {
			body, err := c.page(ctx, l, token)
			dead = token != "" && errors.Is(err, errRefused)
			if err != nil || body == nil {
				return "", err
			}
			kept = append(kept, body.rows(l.fields, l.keep)...)
			return body.text("next_page_token"), nil
		})
		if !dead {
			return kept, err
		}
	}
	return nil, err
}

// page reads one page of a list; nil where there is no such list.
func (c *Connector) page(ctx context.Context, l list, token string) (record, error) {
	if l.size == 0 {
		l.size = 300
	}
	route := l.route.With("page_size", strconv.Itoa(l.size))
	if token != "" {
		route = route.With("next_page_token", token)
		l.none = nil // where there is a second page, there is a list
	}
	return c.get(ctx, route, l.none...)
}

// session is a UUID as it stands in a path: encoded once more if it has slashes
// that Zoom would trip over.
func session(uuid string) string {
	if strings.HasPrefix(uuid, "/") || strings.Contains(uuid, "//") {
		return url.QueryEscape(uuid)
	}
	return uuid
}

// window is how many days a list is asked for at once: Zoom answers for a month.
const window = 30

// windows is how many windows reach back to the oldest that Zoom answers for.
func (c *Connector) windows() int { return (c.config.Months*31 + window - 1) / window }

// between asks a route for the n-th window before a day. One that Zoom does not
// reach any more is not ok.
func (c *Connector) between(route kit.Route, day time.Time, n int) (of kit.Route, ok bool) {
	oldest := c.now().UTC().AddDate(0, -c.config.Months, 1).Truncate(24 * time.Hour)
	to := day.AddDate(0, 0, -window*n)
	from := to.AddDate(0, 0, 1-window)
	if from.Before(oldest) {
		from = oldest
	}
	if to.Before(from) {
		return route, false
	}
	return route.With("from", from.UTC().Format(time.DateOnly)).With("to", to.UTC().Format(time.DateOnly)), true
}

// evidence is what an answer may leave in a certificate.
func evidence(at time.Time, call, answer string) connector.Evidence {
	return connector.Evidence{At: at, Call: call, Answer: answer}
}
