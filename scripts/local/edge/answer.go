package edge

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
)

// answer is what a function returned, ready to be written.
type answer struct {
	status int
	header http.Header
	body   []byte
}

var errAnswer = errors.New("not an answer of payload format 2.0")

// parseAnswer reads the function's result. JSON without a statusCode is itself the body of a 200
// (documented: Lambda proxy integrations for HTTP APIs); an answer without a type is text/plain
// (measured: github.com/fujiwara/ridge, pull request 9).
func parseAnswer(out []byte) (*answer, error) {
	if !json.Valid(out) {
		return nil, errAnswer
	}
	var f struct {
		StatusCode      *int              `json:"statusCode"`
		Headers         map[string]scalar `json:"headers"`
		Cookies         []string          `json:"cookies"`
		Body            string            `json:"body"`
		IsBase64Encoded bool              `json:"isBase64Encoded"`
	}
	var probe struct {
		StatusCode json.RawMessage `json:"statusCode"`
	}
	if json.Unmarshal(out, &probe) != nil || probe.StatusCode == nil {
		return &answer{http.StatusOK, http.Header{"Content-Type": {"application/json"}}, out}, nil
	}
	if err := json.Unmarshal(out, &f); err != nil || f.StatusCode == nil || *f.StatusCode < 200 || *f.StatusCode > 599 {
		return nil, errAnswer
	}
	a := &answer{*f.StatusCode, http.Header{}, []byte(f.Body)}
	for name, value := range f.Headers {
		a.header.Set(name, string(value))
	}
	for _, name := range append([]string{"Content-Length"}, hop...) {
		a.header.Del(name)
	}
	if a.header.Get("Content-Type") == "" {
		a.header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	if f.IsBase64Encoded {
		b, err := base64.StdEncoding.DecodeString(f.Body)
		if err != nil {
			return nil, errAnswer
		}
		a.body = b
	}
	for _, c := range f.Cookies {
		a.header.Add("Set-Cookie", c)
	}
	return a, nil
}

// write sends the answer. Names of headers are written as net/http does (Apigw-Requestid), which is
// how API Gateway writes them on HTTP/1.1; on HTTP/2 they are lower case in both places.
func (a *answer) write(w http.ResponseWriter) int {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	w.Write(a.body) // net/http leaves it out of answers to HEAD, of 204 and of 304
	return a.status
}

// scalar is a header value, which functions may also give as a number or a boolean.
type scalar string

func (s *scalar) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err == nil {
		*s = scalar(text)
		return nil
	}
	if b[0] == '{' || b[0] == '[' {
		return errAnswer
	}
	*s = scalar(b)
	return nil
}
