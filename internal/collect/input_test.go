package collect_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/consent"
)

// refusal is a post that must not be accepted.
type refusal struct {
	request request
	status  int
	field   string // that is named, "" for none
	says    string // part of the message
}

func refused(r request, status int, says string) refusal {
	return refusal{request: r, status: status, says: says}
}

func refusedField(r request, field, says string) refusal {
	return refusal{request: r, status: 400, field: field, says: says}
}

// notJSON are bodies that are no JSON, or none that is accepted. The planted
// person is in each, close to what is wrong.
func notJSON() map[string]refusal {
	mail := planted["e-mail"]
	all := map[string]refusal{}
	for name, body := range map[string]string{
		"empty":                  "",
		"white space":            " \n\t",
		"cut off":                `{"subject":{"email":"` + mail,
		"cut off after a value":  `{"subject":{"email":"` + mail + `"}`,
		"cut off in an escape":   `{"subject":{"email":"` + mail + `\u00`,
		"comma too many":         `{"subject":{"email":"` + mail + `",}}`,
		"no quotes":              `{subject:{email:` + mail + `}}`,
		"text behind":            `{"subject":{"email":"` + mail + `"}} ` + mail,
		"two bodies":             `{}{"subject":{"email":"` + mail + `"}}`,
		"a form":                 "subject[email]=" + mail,
		"Latin-1":                "{\"subject\":{\"email\":\"" + mail + "\",\"first_name\":\"In\xe9s\"}}",
		"lone surrogate":         `{"subject":{"email":"` + mail + `\ud800"}}`,
		"lone surrogate in key":  `{"preferences":{"` + mail + `\udfff":true}}`,
		"NUL":                    `{"subject":{"email":"` + mail + `\u0000"}}`,
		"NUL in a name":          `{"preferences":{"` + mail + `\u0000":true}}`,
		"NUL in an unknown name": `{"x":{"` + mail + `\u0000":true}}`,
		"name twice":             `{"subject":{"email":"` + mail + `","email":"x"}}`,
		"subject twice":          `{"subject":{"email":"` + mail + `"},"subject":{}}`,
		"preference twice":       `{"preferences":{"` + mail + `":true,"` + mail + `":false}}`,
		"name twice, escaped":    `{"preferences":{"a":true,"\u0061":false}}`,
		"byte order mark":        "\ufeff" + person(nil),
		"too deep":               `{"x":` + strings.Repeat("[", 16) + `"` + mail + `"` + strings.Repeat("]", 16) + `}`,
		"much too deep":          strings.Repeat(`{"a":`, 100_000),
		"a list":                 `[` + person(nil) + `]`,
		"a text":                 `"` + mail + `"`,
		"a number":               `7`,
		"null":                   `null`,
	} {
		all["body: "+name] = refused(request{body: body, headers: post("").headers, binary: true}, 400, "")
	}
	return all
}

// wrongTransport are posts that are refused before or beside their body.
func wrongTransport() map[string]refusal {
	mail, body := planted["e-mail"], person(nil)
	typed := func(contentType, body string) request { return post(body).with("content-type", contentType) }
	return map[string]refusal{
		"charset Latin-1":           refused(typed("application/json; charset=iso-8859-1", body), 400, "UTF-8"),
		"charset UTF-16":            refused(typed("application/json; charset=utf-16", body), 400, "UTF-8"),
		"charset of a person":       refused(typed(`application/json; charset="`+mail+`"`, body), 400, "UTF-8"),
		"content type of a person":  refused(typed(mail+";;", body), 400, "Content-Type"),
		"multipart":                 refused(typed("multipart/form-data; boundary="+planted["last name"], body), 415, "Content-Type"),
		"XML":                       refused(typed("application/xml", "<email>"+mail+"</email>"), 415, "Content-Type"),
		"JSON sent as a form":       refused(typed("application/x-www-form-urlencoded", body), 400, "looks like JSON"),
		"form: escape cut off":      refused(typed("application/x-www-form-urlencoded", "subject[email]="+mail+"%4"), 400, "urlencoded"),
		"form: Latin-1":             refused(typed("application/x-www-form-urlencoded", "subject[first_name]=In%E9s&subject[email]="+mail), 400, "urlencoded"),
		"form: NUL":                 refused(typed("application/x-www-form-urlencoded", "subject[email]="+mail+"%00"), 400, "NUL"),
		"form: bracket left open":   refused(typed("application/x-www-form-urlencoded", "subject[email="+mail), 400, "nests"),
		"form: text and object":     refused(typed("application/x-www-form-urlencoded", "subject="+mail+"&subject[email]="+mail), 400, "nests"),
		"form: too deep":            refused(typed("application/x-www-form-urlencoded", "a"+strings.Repeat("[b]", 16)+"="+mail), 400, "nests"),
		"form: too many fields":     refused(typed("application/x-www-form-urlencoded", strings.Repeat("a="+mail+"&", 2001)), 400, "2000"),
		"form: preferences in list": refused(typed("application/x-www-form-urlencoded", "preferences[]="+mail), 400, ""),
		"over 1 MB":                 refused(post(`{"x":"`+strings.Repeat(mail, 1<<20/len(mail))+`"}`), 413, "1048576"),
		"over 1 MB in base64":       refused(request{body: strings.Repeat("x", 1<<20+1), headers: post("").headers, binary: true}, 413, "1048576"),
		"over 1 MB as a form":       refused(typed("application/x-www-form-urlencoded", "x="+strings.Repeat("x", 1<<20)), 413, "1048576"),

		"no key":                          refused(post(body).with("apikey", ""), 401, "No API key found in request"),
		"unknown key":                     refused(post(body).with("apikey", mail), 403, "Invalid authentication credentials"),
		"private key":                     refused(post(body).with("apikey", privateKey), 403, "Invalid authentication credentials"),
		"long key":                        refused(post(body).with("apikey", strings.Repeat(mail, 100)), 403, "Invalid authentication credentials"),
		"key in the query of JSON":        refused(request{query: "key=" + publicKey, body: body, headers: map[string]string{"content-type": "application/json"}}, 401, "No API key"),
		"private key of a beacon":         refused(request{query: "key=" + privateKey, body: body, headers: map[string]string{"content-type": "text/plain"}}, 403, "Invalid"),
		"beacon without a key":            refused(request{body: body, headers: map[string]string{"content-type": "text/plain"}}, 401, "No API key"),
		"beacon that is no JSON":          refused(request{query: "key=" + publicKey, body: "email=" + mail, headers: map[string]string{"content-type": "text/plain"}}, 400, "JSON"),
		"beacon with a broken query":      refused(request{query: "key=" + publicKey + "&email=" + mail + "%zz", body: body, headers: map[string]string{"content-type": "text/plain"}}, 400, "query"),
		"other origin":                    refused(post(body).with("apikey", listedKey, "origin", "https://"+planted["last name"]+".example"), 403, "origin"),
		"no origin":                       refused(post(body).with("apikey", listedKey), 403, "origin"),
		"origin null":                     refused(post(body).with("apikey", listedKey, "origin", "null"), 403, "origin"),
		"listed origin of another case":   refused(post(body).with("apikey", listedKey, "origin", "https://SHOP.example"), 403, "origin"),
		"GET":                             refused(request{method: "GET", headers: post("").headers}, 405, "POST"),
		"DELETE":                          refused(request{method: "DELETE", body: body, headers: post("").headers}, 405, "POST"),
		"another path":                    refused(request{path: "/public/" + mail, body: body, headers: post("").headers}, 404, ""),
		"the private path":                refused(request{path: "/consent", body: body, headers: post("").headers}, 404, ""),
		"a path behind":                   refused(request{path: "/public/consent/" + mail, body: body, headers: post("").headers}, 404, ""),
		"idempotency key of a person":     refusedField(post(body).with("idempotency-key", mail), "Idempotency-Key", "version 7"),
		"idempotency key of version 4":    refusedField(post(body).with("idempotency-key", "3b0e3c1e-52a4-4d0f-9a55-0d5a9b7c1f10"), "Idempotency-Key", "version 7"),
		"idempotency key of 31 days ago":  refusedField(post(body).with("idempotency-key", keyAt(noon.Add(-31*24*time.Hour))), "Idempotency-Key", "ago"),
		"idempotency key of a year ahead": refusedField(post(body).with("idempotency-key", keyAt(noon.Add(365*24*time.Hour))), "Idempotency-Key", "ahead"),
		"beacon's key of a person":        refusedField(request{query: "key=" + publicKey + "&idempotency_key=" + mail, body: body, headers: map[string]string{"content-type": "text/plain"}}, "Idempotency-Key", "version 7"),
	}
}

// wrongFields are posts whose fields cannot be accepted. The planted person is
// the value wherever a text is wrong.
func wrongFields() map[string]refusal {
	mail := planted["e-mail"]
	long := func(n int) string { return mail + strings.Repeat("x", n-len(mail)) }
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	repeat := func(n int, element string) json.RawMessage {
		return raw("[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]")
	}
	preferences := func(n, valueBytes int) map[string]any {
		all := map[string]any{}
		for i := range n {
			all[fmt.Sprint(mail, i)] = strings.Repeat("v", valueBytes)
		}
		return all
	}
	all := map[string]refusal{}
	for name, tt := range map[string]struct {
		more  map[string]any
		field string
		says  string
	}{
		"subject id too long":        {map[string]any{"subject": map[string]any{"id": long(consent.MaxSubjectID + 1)}}, "subject.id", "256"},
		"e-mail too long":            {map[string]any{"subject": map[string]any{"email": long(consent.MaxText + 1)}}, "subject.email", "1024"},
		"first name too long":        {map[string]any{"subject": map[string]any{"first_name": long(consent.MaxText + 1)}}, "subject.first_name", "1024"},
		"too many phones":            {map[string]any{"subject": map[string]any{"phones": repeat(21, `{"number":"`+planted["phone"]+`"}`)}}, "subject.phones", "20"},
		"phone without number":       {map[string]any{"subject": map[string]any{"phones": raw(`[{"label":"` + mail + `"}]`)}}, "subject.phones[0].number", "empty"},
		"too many preferences":       {map[string]any{"preferences": preferences(101, 1)}, "preferences", "100"},
		"preference key too long":    {map[string]any{"preferences": map[string]any{long(129): true}}, "preferences", "128"},
		"preference key empty":       {map[string]any{"preferences": map[string]any{"": mail}}, "preferences", "128"},
		"preferences too large":      {map[string]any{"preferences": preferences(40, 1000)}, "preferences", "32768"},
		"too many notices":           {map[string]any{"legal_notices": repeat(33, `{"identifier":"`+mail+`"}`)}, "legal_notices", "32"},
		"notice without identifier":  {map[string]any{"legal_notices": raw(`[{"version":"` + mail + `"}]`)}, "legal_notices[0].identifier", "empty"},
		"notice version too long":    {map[string]any{"legal_notices": raw(`[{"identifier":"a","version":"` + long(1025) + `"}]`)}, "legal_notices[0].version", "1024"},
		"too many proofs":            {map[string]any{"proofs": repeat(17, `{"content":"`+mail+`"}`)}, "proofs", "16"},
		"consent type too long":      {map[string]any{"consent_type": long(1025)}, "consent_type", "1024"},
		"token too long":             {map[string]any{"subject_token": long(1025)}, "subject_token", "1024"},
		"act of a private key":       {map[string]any{"act": "paper"}, "act", "this key"},
		"import":                     {map[string]any{"act": "import", "source": "private"}, "act", "this key"},
		"act of a person":            {map[string]any{"act": mail}, "act", "this key"},
		"timestamp of 31 days ago":   {map[string]any{"timestamp": noon.Add(-31 * 24 * time.Hour)}, "timestamp", "ago"},
		"timestamp of 10 years ago":  {map[string]any{"timestamp": "2016-02-03T12:00:00Z"}, "timestamp", "ago"},
		"timestamp of the year 1":    {map[string]any{"timestamp": "0001-01-01T00:00:00Z"}, "timestamp", "ago"},
		"timestamp of 6 minutes on":  {map[string]any{"timestamp": noon.Add(6 * time.Minute)}, "timestamp", "ahead"},
		"timestamp of the year 9999": {map[string]any{"timestamp": "9999-12-31T23:59:59Z"}, "timestamp", "ahead"},
		"timestamp beyond":           {map[string]any{"timestamp": "10000-01-01T00:00:00Z"}, "timestamp", "time like"},
		"timestamp of a person":      {map[string]any{"timestamp": mail}, "timestamp", "time like"},
		"timestamp in milliseconds":  {map[string]any{"timestamp": noon.UnixMilli()}, "timestamp", "time like"},
		"sent_at of a person":        {map[string]any{"sent_at": mail}, "sent_at", "time like"},
		"device_time of a person":    {map[string]any{"device_time": mail}, "device_time", "time like"},
		"expires_at of a person":     {map[string]any{"expires_at": mail}, "expires_at", "time like"},
		"autodetect of a person":     {map[string]any{"autodetect_ip_address": mail}, "autodetect_ip_address", "true or false"},
		"signal of a person":         {map[string]any{"gpc": mail}, "gpc", "true or false"},
		"verified of a person":       {map[string]any{"subject": map[string]any{"verified": mail}}, "subject.verified", "true or false"},
	} {
		r := refusedField(post(person(tt.more)), tt.field, tt.says)
		all["field: "+name] = r
	}
	// Every JSON type in every field where it does not belong.
	types := map[string]string{"true": `true`, "number": `7`, "text": `"` + mail + `"`, "object": `{"` + mail + `":1}`, "list": `["` + mail + `"]`}
	for field, wrong := range map[string]string{ // the types that are refused
		`{"timestamp":%s}`:              "true text object list", // a number is unix seconds: of 1970
		`{"sent_at":%s}`:                "true text object list",
		`{"device_time":%s}`:            "true text object list",
		`{"expires_at":%s}`:             "true text object list",
		`{"subject":%s}`:                "true number text list",
		`{"subject":{"id":%s}}`:         "true object list",
		`{"subject":{"email":%s}}`:      "true object list",
		`{"subject":{"first_name":%s}}`: "true object list",
		`{"subject":{"last_name":%s}}`:  "true object list",
		`{"subject":{"full_name":%s}}`:  "true object list",
		`{"subject":{"verified":%s}}`:   "number text object list",
		`{"subject":{"phones":%s}}`:     "true number text object list",
		`{"preferences":%s}`:            "true number text list",
		`{"legal_notices":%s}`:          "true number text object list",
		`{"legal_notices":[%s]}`:        "true number text object list",
		`{"proofs":%s}`:                 "true number text object list",
		`{"proofs":[%s]}`:               "true number text list",
		`{"proofs":[{"content":%s}]}`:   "true object list",
		`{"proofs":[{"form":%s}]}`:      "true object list",
		`{"consent_type":%s}`:           "true object list",
		`{"act":%s}`:                    "true number text object list",
		`{"gpc":%s}`:                    "number text object list",
		`{"autodetect_ip_address":%s}`:  "number text object list",
		`{"subject_token":%s}`:          "true object list",
	} {
		for _, name := range strings.Fields(wrong) {
			all["type: "+name+" in "+field] = refusal{request: post(fmt.Sprintf(field, types[name])), status: 400, field: "*"}
		}
	}
	return all
}

// Whatever is wrong with a post, it is refused with a message that says what,
// quotes nothing of it, and leaves nothing behind.
func TestPost_refused(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.ask(t, post("no JSON").with("apikey", publicKey)) // keys and site are known from here on
	d.ask(t, post("no JSON").with("apikey", listedKey))
	all := notJSON()
	maps.Copy(all, wrongTransport())
	maps.Copy(all, wrongFields())
	for _, name := range slices.Sorted(maps.Keys(all)) {
		tt := all[name]
		d.net.Reset()
		a := d.ask(t, tt.request)
		var problem struct {
			Message    string `json:"message"`
			Code       string `json:"code"`
			ServerTime string `json:"server_time"`
			Errors     []struct{ Field, Message string }
		}
		if err := json.Unmarshal([]byte(a.Body), &problem); err != nil || problem.Message == "" {
			t.Errorf("%s: %d %s: no message", name, a.Status, a.Body)
			continue
		}
		if a.Status != tt.status || !strings.Contains(a.Body, tt.says) {
			t.Errorf("%s: %d %s, want %d with %q", name, a.Status, a.Body, tt.status, tt.says)
		}
		switch {
		case tt.field == "" && problem.Errors != nil && !strings.HasPrefix(name, "form:"):
			t.Errorf("%s: fields %v", name, problem.Errors)
		case tt.field == "*" && len(problem.Errors) == 0, tt.field != "" && tt.field != "*" && (len(problem.Errors) != 1 || problem.Errors[0].Field != tt.field):
			t.Errorf("%s: fields %v, want %s", name, problem.Errors, tt.field)
		}
		if clock := strings.Contains(tt.says, "ago") || strings.Contains(tt.says, "ahead"); clock != (problem.Code == "clock") || clock && problem.ServerTime != "2026-02-03T12:00:00.000Z" {
			t.Errorf("%s: code %q, server time %q", name, problem.Code, problem.ServerTime)
		}
		for what, value := range planted {
			if leak(a.Body, value) != "" {
				t.Errorf("%s: the answer quotes the %s: %s", name, what, a.Body)
			}
		}
		if wrote(d.net.Counts()) {
			t.Errorf("%s: something was written: %v", name, d.net.Counts())
		}
	}
	if events, forms, objects := d.stored(t); events+forms+objects != 0 {
		t.Errorf("%d rows, %d forms, %d objects are stored", events, forms, objects)
	}
	if n := strings.Count(lines.String(), `"status":400`); n < len(all)/2 { // what TestMain looks through
		t.Errorf("%d refusals were logged", n)
	}
}

// An event that no HTTP API sends is the operator's mistake, and quotes nothing.
func TestInvoke_noEvent(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for _, payload := range []string{``, `{`, `[]`, `{"version":"1.0","httpMethod":"POST","body":"` + planted["e-mail"] + `"}`, `"` + planted["e-mail"] + `"`, `{"version":"2.0"}`} {
		out, err := d.Invoke(t.Context(), []byte(payload))
		if err == nil || out != nil || leak(err.Error(), planted["e-mail"]) != "" {
			t.Errorf("%s: %s, %v", payload, out, err)
		}
	}
}
