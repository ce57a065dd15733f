package genesys

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// codes are the vendor's error codes that may stand in an error text. A conflict
// is a request of the same person on its way.
var codes = map[string]errs.Kind{
	"too.many.requests": "", "too.many.requests.retry.after": "", "request.conflict": errs.Unavailable,
	"missing.permissions": "", "bad.request": "", "invalid_client": errs.Forbidden, "invalid_grant": errs.Forbidden,
}

// newClients returns a client of the API, and one without a login for results.
func newClients(o kit.System, c config) (api, files *kit.Client, err error) {
	options := o.Kit
	options.System, options.AllowLocal, options.Now, options.Transport = o.Inventory.System, c.AllowLocal, o.Now, o.Transport
	options.Codes, options.Pauses = codes, map[string]time.Duration{"request.conflict": time.Hour}
	options.Base = or(c.LoginURL, "https://login."+c.Region)
	door, err := kit.New(options)
	if err != nil {
		return nil, nil, err
	}
	options.Base = or(c.BaseURL, "https://api."+c.Region) + "/api/v2"
	if files, err = kit.New(options); err != nil {
		return nil, nil, err
	}
	options.Login = kit.BasicCredentials(door, kit.To("/oauth/token"), url.Values{"grant_type": {"client_credentials"}}, kit.Secret(o.Inventory.System, o.Secret))
	p := &pace{next: o.Transport, now: o.Now}
	if p.next == nil {
		base, _ := url.Parse(options.Base) // kit.New has read it
		p.next = kit.NewTransport(base.Host, c.AllowLocal)
	}
	options.Transport = p
	api, err = kit.New(options)
	return api, files, err
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// pace keeps to what Genesys says of its limit with every answer. When nothing is
// left it answers in Genesys's place what Genesys would have: come back later.
type pace struct {
	next http.RoundTripper
	now  func() time.Time

	mu    sync.Mutex
	until time.Time // nothing may be sent before
}

// RoundTrip implements http.RoundTripper.
func (p *pace) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	wait := p.until.Sub(p.now())
	p.mu.Unlock()
	if wait > 0 {
		seconds := strconv.Itoa(int((wait + time.Second - 1) / time.Second))
		return &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {seconds}}, Body: io.NopCloser(&bytes.Reader{}), Request: r}, nil
	}
	response, err := p.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if reset, spent := exhausted(response.Header); spent {
		p.mu.Lock()
		p.until = p.now().Add(reset)
		p.mu.Unlock()
	}
	return response, nil
}

// exhausted reads the headers that tell of the limit: whether nothing is left of
// it, and until when. Headers that are missing or no numbers say nothing.
func exhausted(h http.Header) (reset time.Duration, yes bool) {
	count, err := strconv.ParseInt(h.Get("Inin-Ratelimit-Count"), 10, 64)
	allowed, err2 := strconv.ParseInt(h.Get("Inin-Ratelimit-Allowed"), 10, 64)
	if err != nil || err2 != nil || allowed <= 0 || count < allowed {
		return 0, false
	}
	return kit.RetryAfter(h.Get("Inin-Ratelimit-Reset"), time.Time{})
}

// gdprRequest is a GDPRRequest.
type gdprRequest struct {
	ID      string    `json:"id"`
	Type    string    `json:"requestType"`
	Created time.Time `json:"createdDate"`
	Status  string    `json:"status"`
	Subject subject   `json:"subject"`
	Terms   []term    `json:"replacementTerms"`
	URL     string    `json:"resultsUrl"`
	URLs    []string  `json:"resultsUrls"`
}

// term is a ReplacementTerm: legal with GDPR_UPDATE only.
type term struct {
	Type string `json:"type"`
	Old  string `json:"existingValue"`
	New  string `json:"updatedValue"`
}

// results are the links to what a request has found.
func (r gdprRequest) results() []string {
	if len(r.URLs) == 0 && r.URL != "" {
		return []string{r.URL}
	}
	return r.URLs
}

// Statuses that end a request. Every other one, also one that is not known, is
// on its way.
const (
	completed = "COMPLETED"
	failed    = "ERROR"
	skipped   = "skipped" // ours: no request may be made
)

// pageSize of lists that Avow asks for by number.
const pageSize = 100

// maxPages bounds a list.
const maxPages = 100

// since are the requests of the organisation that were made after a time. The
// list has no order that is promised, so that all of it is read.
func (c *Connector) since(ctx context.Context, after time.Time) (list []gdprRequest, err error) {
	for page := 1; page <= maxPages; page++ {
		var listing struct {
			Entities []gdprRequest `json:"entities"`
			Pages    int           `json:"pageCount"`
		}
		route := kit.To("/gdpr/requests").With("pageSize", strconv.Itoa(pageSize)).With("pageNumber", strconv.Itoa(page))
		if err := c.api.Get(ctx, route, &listing); err != nil {
			return nil, err
		}
		for _, r := range listing.Entities {
			if !r.Created.Before(after) {
				list = append(list, r)
			}
		}
		if page >= listing.Pages {
			return list, nil
		}
	}
	return nil, errs.New(errs.TooLarge, "%s: there are more than %d GDPR requests", c.inventory.System, maxPages*pageSize)
}

// post makes a request.
func (c *Connector) post(ctx context.Context, kind string, s subject, terms []term) (made gdprRequest, status int, err error) {
	body := struct {
		Type    string  `json:"requestType"`
		Subject subject `json:"subject"`
		Terms   []term  `json:"replacementTerms,omitempty"`
	}{kind, s, terms}
	route := kit.To("/gdpr/requests")
	if kind == gdprDelete {
		route = route.With("deleteConfirmed", "true")
	}
	a, err := c.api.Do(ctx, kit.Call{Method: http.MethodPost, Route: route, Body: body})
	if err != nil {
		return made, 0, err
	}
	if err := a.JSON(&made); err != nil {
		return made, 0, err
	}
	if made.ID == "" {
		return made, 0, errs.New(errs.Unavailable, "%s POST %s: the answer names no request", c.inventory.System, route)
	}
	return made, a.Status, nil
}

// find gets a record; false for one that is not there.
func (c *Connector) find(ctx context.Context, route kit.Route, into any) (bool, error) {
	a, err := c.api.Do(ctx, kit.Call{Method: http.MethodGet, Route: route, Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return false, err
	}
	return true, a.JSON(into)
}

// downloadID is the id in a link to a download of the API; "" for any other link.
// The link's host does not matter: the id is asked of the configured one.
func downloadID(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	id, ok := strings.CutPrefix(u.Path, "/api/v2/downloads/")
	if !ok || strings.ContainsAny(id, "/\\") {
		return ""
	}
	return id
}

func evidence(at time.Time, call, answer string) connector.Evidence {
	return connector.Evidence{At: at, Call: call, Answer: answer}
}
