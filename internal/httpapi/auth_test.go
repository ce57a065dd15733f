package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/site"
)

// register is a table of keys and of sites.
type register struct{ keys map[string]keys.Key }

func (r register) Key(_ context.Context, hash string) (keys.Key, bool, error) {
	k, ok := r.keys[hash]
	return k, ok, nil
}

func (r register) Site(_ context.Context, id string) (*site.Site, error) {
	if id == "shop" {
		return &site.Site{ID: id}, nil
	}
	return nil, errs.New(errs.NotFound, "the site does not exist")
}

func (register) Value(context.Context, string) ([]byte, error) {
	return nil, errs.New(errs.NotFound, "the secret does not exist")
}

func gate(class keys.Class) *httpapi.Gate {
	r := register{keys: map[string]keys.Key{
		keys.Hash("pub"):    {Site: "shop", Class: keys.Public},
		keys.Hash("prv"):    {Site: "shop", Class: keys.Private},
		keys.Hash("listed"): {Site: "shop", Class: keys.Public, Origins: []string{"https://shop.example"}},
		keys.Hash("op"):     {Site: "shop", Class: keys.Role, Rank: keys.Operator, Person: "Ada"},
		keys.Hash("odd"):    {Site: "shop", Class: keys.Role, Person: "Ada"},
		keys.Hash("orphan"): {Site: "gone", Class: keys.Public},
	}}
	return &httpapi.Gate{Ring: keys.NewRing(r, time.Now), Sites: site.NewDirectory(r, r, time.Now), Class: class}
}

func TestGate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		class   keys.Class
		target  string
		headers map[string]string
		status  int
		caller  string // the idempotency key that is seen
	}{
		"public":                      {keys.Public, "/x", map[string]string{"ApiKey": "pub"}, 200, ""},
		"header in small letters":     {keys.Public, "/x", map[string]string{"apikey": "pub"}, 200, ""},
		"private":                     {keys.Private, "/x", map[string]string{"ApiKey": "prv", "Idempotency-Key": "k"}, 200, "k"},
		"no key":                      {keys.Public, "/x", nil, 401, ""},
		"public at the private door":  {keys.Private, "/x", map[string]string{"ApiKey": "pub"}, 403, ""},
		"private at the public door":  {keys.Public, "/x", map[string]string{"ApiKey": "prv"}, 403, ""},
		"unknown":                     {keys.Public, "/x", map[string]string{"ApiKey": "new"}, 403, ""},
		"key in the query":            {keys.Public, "/x?key=pub", map[string]string{"Content-Type": "application/json"}, 401, ""},
		"beacon":                      {keys.Public, "/x?key=pub&idempotency_key=k", map[string]string{"Content-Type": "text/plain;charset=UTF-8"}, 200, "k"},
		"beacon, header first":        {keys.Public, "/x?key=new&idempotency_key=k", map[string]string{"Content-Type": "text/plain", "ApiKey": "pub", "Idempotency-Key": "h"}, 200, "h"},
		"beacon without key":          {keys.Public, "/x", map[string]string{"Content-Type": "text/plain"}, 401, ""},
		"beacon at the private door":  {keys.Private, "/x?key=prv", map[string]string{"Content-Type": "text/plain"}, 401, ""},
		"query that cannot be read":   {keys.Private, "/x?email=%zz", map[string]string{"ApiKey": "prv"}, 400, ""},
		"listed origin":               {keys.Public, "/x", map[string]string{"ApiKey": "listed", "Origin": "https://shop.example"}, 200, ""},
		"other origin":                {keys.Public, "/x", map[string]string{"ApiKey": "listed", "Origin": "https://evil.example"}, 403, ""},
		"no origin":                   {keys.Public, "/x", map[string]string{"ApiKey": "listed"}, 403, ""},
		"no list, other origin":       {keys.Public, "/x", map[string]string{"ApiKey": "pub", "Origin": "https://evil.example"}, 200, ""},
		"the site is gone":            {keys.Public, "/x", map[string]string{"ApiKey": "orphan"}, 404, ""},
		"key longer than any":         {keys.Public, "/x", map[string]string{"ApiKey": strings.Repeat("x", 10_000)}, 403, ""},
		"key in a cookie does not do": {keys.Public, "/x", map[string]string{"Cookie": "ApiKey=pub"}, 401, ""},
		"bearer does not do":          {keys.Public, "/x", map[string]string{"Authorization": "Bearer pub"}, 401, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux, log := door()
			var seen string
			mux.Handle("POST /x", gate(tt.class).Handler(func(w http.ResponseWriter, r *http.Request) error {
				seen = httpapi.IdempotencyKey(r)
				if c := httpapi.CallerOf(r); c.Site.ID != "shop" || c.Key.Class != tt.class {
					t.Errorf("caller %+v", c)
				}
				return httpapi.WriteJSON(w, "in")
			}))
			r := httptest.NewRequest(http.MethodPost, tt.target, nil)
			for name, value := range tt.headers {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Code != tt.status || seen != tt.caller {
				t.Errorf("%d %s, idempotency key %q; want %d, %q", w.Code, w.Body, seen, tt.status, tt.caller)
			}
			for _, key := range []string{"pub", "prv", "listed"} {
				if strings.Contains(log.String(), `"`+key+`"`) {
					t.Errorf("the key was logged: %s", log)
				}
			}
			if in := w.Code == 200; in != strings.Contains(log.String(), `"site":"shop"`) {
				t.Errorf("log: %s", log)
			}
		})
	}
}

func TestGate_atLeast(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		key     string
		least   keys.Rank
		status  int
		message string
	}{
		"enough":                 {"op", keys.Viewer, 200, ""},
		"exactly":                {"op", keys.Operator, 200, ""},
		"too little":             {"op", keys.Officer, 403, "this needs a key of the role officer"},
		"of no rank":             {"odd", keys.Viewer, 403, "this needs a key of the role viewer"},
		"of no rank, at nothing": {"odd", "", 403, "role"},
		"public":                 {"pub", keys.Viewer, 403, "Invalid authentication credentials"},
		"private":                {"prv", keys.Viewer, 403, "Invalid authentication credentials"},
		"none":                   {"", keys.Viewer, 401, "No API key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux, _ := door()
			mux.Handle("GET /x", gate(keys.Role).AtLeast(tt.least, says("in")))
			r := httptest.NewRequest(http.MethodGet, "/x", nil)
			if tt.key != "" {
				r.Header.Set("ApiKey", tt.key)
			}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.message) {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, tt.status, tt.message)
			}
		})
	}
	mux, _ := door()
	mux.Handle("GET /x", gate(keys.Private).AtLeast(keys.Viewer, says("in")))
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	r.Header.Set("ApiKey", "prv")
	w := httptest.NewRecorder()
	if mux.ServeHTTP(w, r); w.Code != 403 {
		t.Errorf("a gate of another class: %d", w.Code)
	}
}
