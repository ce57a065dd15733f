package httpapi

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/avow-consent/avow/internal/errs"
)

// Query reads one parameter of a query; empty means absent.
func Query(r *http.Request, name string, limit int) (string, error) {
	value := r.URL.Query().Get(name)
	return value, CheckText(name, value, limit)
}

// Limit is the number of items of a page: 10 unless stated, and at least 1
// and at most 100 whatever is stated.
func Limit(r *http.Request) (int, error) {
	const usual, most = 10, 100
	text := r.URL.Query().Get("limit")
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, errs.InvalidField("limit", "must be a number")
	}
	return min(max(n, 1), most), nil
}

// Time reads an instant of a query; the zero time when it is absent.
func Time(r *http.Request, name string) (time.Time, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, ok := ParseTime(text)
	if !ok || t.IsZero() { // the beginning of time would read as none, and drop the filter
		return t, errs.InvalidField(name, "must be a time like 2026-02-03T10:15:30Z, 2026-02-03 10:15:30 UTC or 1770113730")
	}
	return t, nil
}

// Bool reads a truth value of a query; nil when it is absent.
func Bool(r *http.Request, name string) (*bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return nil, nil
	}
	value := text == "true" || text == "1"
	if !value && text != "false" && text != "0" {
		return nil, errs.InvalidField(name, "must be true or false")
	}
	return &value, nil
}

// LinkNext names the next page of a list in a Link header (RFC 8288): the same
// request with other cursor parameters, given as name, value pairs.
func LinkNext(w http.ResponseWriter, r *http.Request, cursor ...string) {
	values := r.URL.Query()
	for i := 0; i+1 < len(cursor); i += 2 {
		values.Set(cursor[i], cursor[i+1])
	}
	scheme := "https"
	if forwarded := r.Header.Get("X-Forwarded-Proto"); forwarded != "" {
		scheme = forwarded
	}
	next := url.URL{Scheme: scheme, Host: r.Host, Path: r.URL.Path, RawQuery: values.Encode()}
	w.Header().Set("Link", "<"+next.String()+`>; rel="next"`)
}
