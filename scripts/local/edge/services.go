package edge

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
)

// Services stands where a Step Functions engine looks for AWS: it answers calls
// of Lambda itself with invoke, and hands calls of Step Functions to the engine
// and all others to the emulator.
func Services(invoke http.Handler, engine, emulator *url.URL) http.Handler {
	toEngine, toEmulator := proxy(engine), proxy(emulator)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/2015-03-31/functions/"):
			invoke.ServeHTTP(w, r)
		case strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AWSStepFunctions.") || strings.Contains(r.Header.Get("Authorization"), "/states/"):
			toEngine.ServeHTTP(w, r)
		default:
			toEmulator.ServeHTTP(w, r)
		}
	})
}

func proxy(target *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorLog: log.New(io.Discard, "", 0), // the caller hears of it
	}
}
