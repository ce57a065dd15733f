package edge

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// event is what API Gateway sends to a function. It is a type of its own because the library's adds
// an empty client certificate, which a real event without mutual TLS does not have.
type event struct {
	Version         string            `json:"version"`
	RouteKey        string            `json:"routeKey"`
	RawPath         string            `json:"rawPath"`
	RawQueryString  string            `json:"rawQueryString"`
	Cookies         []string          `json:"cookies,omitempty"`
	Headers         map[string]string `json:"headers"`
	Query           map[string]string `json:"queryStringParameters,omitempty"`
	PathParameters  map[string]string `json:"pathParameters,omitempty"`
	Context         eventContext      `json:"requestContext"`
	Body            string            `json:"body,omitempty"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
}

type eventContext struct {
	AccountID    string    `json:"accountId"`
	APIID        string    `json:"apiId"`
	DomainName   string    `json:"domainName"`
	DomainPrefix string    `json:"domainPrefix"`
	HTTP         eventHTTP `json:"http"`
	RequestID    string    `json:"requestId"`
	RouteKey     string    `json:"routeKey"`
	Stage        string    `json:"stage"`
	Time         string    `json:"time"`
	TimeEpoch    int64     `json:"timeEpoch"`
}

type eventHTTP struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

// hop are headers of one connection, in both directions.
var hop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

func newEvent(r *http.Request, rawPath, routeKey string, params map[string]string, body []byte, requestID string, now time.Time) *event {
	domain := hostOnly(r.Host)
	prefix, _, _ := strings.Cut(domain, ".")
	sourceIP := hostOnly(r.RemoteAddr)
	e := &event{
		Version:        "2.0",
		RouteKey:       routeKey,
		RawPath:        rawPath,
		RawQueryString: r.URL.RawQuery,
		Headers:        headers(r, sourceIP, len(body), now),
		Query:          query(r.URL.RawQuery),
		PathParameters: params,
		Context: eventContext{
			AccountID:    Account,
			APIID:        "local",
			DomainName:   domain,
			DomainPrefix: prefix,
			HTTP:         eventHTTP{r.Method, rawPath, r.Proto, sourceIP, r.UserAgent()},
			RequestID:    requestID,
			RouteKey:     routeKey,
			Stage:        "$default",
			Time:         now.UTC().Format("02/Jan/2006:15:04:05 -0700"),
			TimeEpoch:    now.UnixMilli(),
		},
	}
	for _, line := range r.Header.Values("Cookie") {
		for c := range strings.SplitSeq(line, ";") {
			if c = strings.TrimSpace(c); c != "" {
				e.Cookies = append(e.Cookies, c)
			}
		}
	}
	if e.Body = string(body); !textBody(r.Header.Get("Content-Type")) || !utf8.Valid(body) {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), len(body) > 0
	}
	return e
}

// encode cannot fail: an event holds texts and numbers only.
func (e *event) encode() []byte {
	b, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return b
}

// headers are lower-cased, several of the same name joined with commas; cookies stand apart. Host and
// Content-Length are always there, and what the gateway adds: the trace id and X-Forwarded-*.
func headers(r *http.Request, sourceIP string, length int, now time.Time) map[string]string {
	h := map[string]string{}
	for name, values := range r.Header {
		h[strings.ToLower(name)] = strings.Join(values, ",")
	}
	for _, name := range hop {
		delete(h, strings.ToLower(name))
	}
	delete(h, "cookie")
	h["host"] = r.Host
	h["content-length"] = strconv.Itoa(length)
	if h["x-amzn-trace-id"] == "" {
		h["x-amzn-trace-id"] = fmt.Sprintf("Root=1-%08x-%024x", now.Unix(), rand.Uint64())
	}
	h["x-forwarded-for"] = strings.TrimPrefix(h["x-forwarded-for"]+", "+sourceIP, ", ")
	h["x-forwarded-proto"], h["x-forwarded-port"] = "http", "80"
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		h["x-forwarded-port"] = port
	}
	return h
}

// query decodes the parameters, values of the same name joined with commas. What cannot be decoded
// stays as it is, which is a guess.
func query(raw string) map[string]string {
	q := map[string]string{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, value = queryDecode(name), queryDecode(value)
		if before, ok := q[name]; ok {
			value = before + "," + value
		}
		q[name] = value
	}
	return q
}

func queryDecode(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// textBody reports whether a body of this type is passed as text. Measured: only text/* and these
// three; everything else is base64, forms (application/x-www-form-urlencoded) and bodies without a
// type included. Bytes that are no UTF-8 are base64 as well, which is a guess.
func textBody(contentType string) bool {
	t, _, _ := mime.ParseMediaType(contentType)
	switch t {
	case "application/json", "application/xml", "application/javascript":
		return true
	}
	return strings.HasPrefix(t, "text/")
}
