package kit

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/avow-consent/avow/internal/errs"
)

// Answer is what the vendor said.
type Answer struct {
	Status int
	Header http.Header
	body   []byte
	call   string // "refdesk GET /users/{id}"
}

// JSON decodes the body. A body of another type, such as the HTML page of a
// proxy, is Unavailable and not even looked at: the outcome is not known.
func (a *Answer) JSON(into any) error {
	if !a.isJSON() {
		return errs.New(errs.Unavailable, "%s: status %d without JSON", a.call, a.Status)
	}
	if json.Unmarshal(a.body, into) != nil { // its text quotes the body
		return errs.New(errs.Unavailable, "%s: the JSON of status %d is not as documented", a.call, a.Status)
	}
	return nil
}

// Empty reports whether there is no body.
func (a *Answer) Empty() bool { return len(bytes.TrimSpace(a.body)) == 0 }

func (a *Answer) isJSON() bool {
	kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json"))
}

// usualCode is the text that most vendors have in one of these fields.
func usualCode(a *Answer) string {
	var body struct{ Error, Code any }
	if !a.isJSON() || json.Unmarshal(a.body, &body) != nil {
		return ""
	}
	for _, field := range []any{body.Error, body.Code} {
		if text, ok := field.(string); ok && text != "" {
			return text
		}
	}
	return ""
}

// read takes in a whole answer.
func (c *Client) read(call Call, response *http.Response) (*Answer, *failure) {
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer+1))
	if err != nil {
		return nil, c.silent(call, err)
	}
	a := &Answer{Status: response.StatusCode, Header: response.Header, body: body, call: c.o.System + " " + call.Method + " " + call.Route.String()}
	if len(body) > MaxAnswer {
		return nil, &failure{status: a.Status, err: errs.New(errs.TooLarge, "%s: the answer is longer than %d bytes", a.call, MaxAnswer)}
	}
	if !c.outcome(call, a) {
		return nil, c.refused(call, a)
	}
	return a, nil
}

// encode is the body of a call.
func (c Call) encode() (body []byte, mediaType string, err error) {
	switch {
	case c.Form != nil:
		return []byte(c.Form.Encode()), "application/x-www-form-urlencoded", nil
	case c.CSV != "":
		return []byte(c.CSV), "text/csv", nil
	case c.Body != nil:
		if body, err = json.Marshal(c.Body); err != nil {
			return nil, "", errBody
		}
		return body, "application/json", nil
	}
	return nil, "", nil
}
