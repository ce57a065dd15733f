package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/cloud"
)

// filePart is a multipart body with one file.
func filePart(name, kind string, body []byte) (contentType, text string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	header := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="file"; filename="` + name + `"`}}
	if kind != "" {
		header.Set("Content-Type", kind)
	}
	part, _ := w.CreatePart(header)
	_, _ = part.Write(body)
	_ = w.Close()
	return w.FormDataContentType(), b.String()
}

func (d *desk) postFile(key, name, kind string, body []byte) reply {
	d.t.Helper()
	contentType, text := filePart(name, kind, body)
	header := map[string]string{"content-type": contentType}
	if key != "" {
		header["idempotency-key"] = key
	}
	return d.do(call{method: "POST", path: "/documents", body: text, header: header})
}

// upload keeps a file and returns its id.
func (d *desk) upload(name, kind string, body []byte) string {
	d.t.Helper()
	r := d.postFile("", name, kind, body)
	var answer struct{ ID string }
	if r.status != 200 || json.Unmarshal(r.body, &answer) != nil || answer.ID == "" {
		d.t.Fatalf("status %d: %s", r.status, r.body)
	}
	return answer.ID
}

// The example of the reference API: a scan is uploaded, then a consent names it.
func TestDocuments_example(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	contentType, body := filePart("signed.pdf", "application/pdf", []byte("%PDF-1.7 signed"))
	r := d.do(call{method: "POST", path: "/beta/documents", body: body, header: map[string]string{"content-type": contentType}})
	d.want(r, 200, `{"name":"signed.pdf","mime_type":"application/pdf","timestamp":"2026-02-04T00:00:00Z"}`)
	var document struct{ ID string }
	if err := json.Unmarshal(r.body, &document); err != nil {
		t.Fatal(err)
	}
	r = d.do(call{method: "POST", path: "/consent", body: `{"subject":{"id":"cust-881"},"timestamp":"2024-05-06T00:00:00Z","act":"paper",` +
		`"preferences":{"newsletter":true},"proof_document_ids":["` + document.ID + `","` + document.ID[:35] + `0x"]}`})
	d.want(r, 200, `{"subject_id":"cust-881"}`)
	var consent struct{ ID string }
	if err := json.Unmarshal(r.body, &consent); err != nil {
		t.Fatal(err)
	}
	d.want(d.get("/consent/"+consent.ID, "subject_id=cust-881"), 200, `{"proof_documents":[`+
		`{"id":"`+document.ID+`","name":"signed.pdf","mime_type":"application/pdf","timestamp":"2026-02-04T00:00:00Z"},`+
		`{"id":"`+document.ID[:35]+`0x","name":null,"mime_type":null,"timestamp":null,"missing":true}]}`)
	d.want(d.get("/beta/documents", ""), 200,
		`[{"id":"`+document.ID+`","name":"signed.pdf","mime_type":"application/pdf","referenced":false,"timestamp":"2026-02-04T00:00:00Z"}]`)
}

// Bytes come back as they were sent, and a browser runs nothing of them.
func TestDocuments_bytes(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	random := make([]byte, 1<<20-400)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(random)
	for name, tt := range map[string]struct {
		file, kind string
		body       []byte
		wantKind   string
	}{
		"every byte":         {"all.bin", "application/x-thing", allBytes(), "application/x-thing"},
		"nearly 1 MB":        {"large.bin", "", random, "application/octet-stream"},
		"markup":             {"page.html", "text/html; charset=utf-8", []byte("<script>alert(1)</script>"), "text/html"},
		"image with scripts": {"x.svg", "image/svg+xml", []byte("<svg onload='x()'/>"), "image/svg+xml"},
		"sniffed":            {"scan", "application/octet-stream", []byte("%PDF-1.4\n"), "application/pdf"},
		"lines":              {"lines.txt", "TEXT/Plain", []byte("a\r\n\r\n--b\r\n--\r\n"), "text/plain"},
		"type that is none":  {"x", "what/ever/this", []byte("plain"), "text/plain"},
		"name of letters":    {`C:\scans\“Einwilligung” – Größe 100%.pdf`, "application/pdf", []byte("%PDF"), "application/pdf"},
		"name with a quote":  {`../../a\"b;c.txt`, "text/plain", []byte("x"), "text/plain"},
	} {
		t.Run(name, func(t *testing.T) {
			id := d.upload(tt.file, tt.kind, tt.body)
			r := d.get("/documents/"+id, "")
			if r.status != 200 || !bytes.Equal(r.body, tt.body) {
				t.Fatalf("status %d, %d bytes; want %d", r.status, len(r.body), len(tt.body))
			}
			disposition, params, err := mime.ParseMediaType(r.header["Content-Disposition"])
			if err != nil || disposition != "attachment" {
				t.Errorf("Content-Disposition %s: %v", r.header["Content-Disposition"], err)
			}
			var item struct{ Name string }
			if r := d.get("/documents", "limit=1"); json.Unmarshal(r.body[1:len(r.body)-1], &item) != nil || item.Name != params["filename"] {
				t.Errorf("the file name is %q, the document's %s", params["filename"], r.body)
			}
			if strings.ContainsAny(item.Name, `/\`) && name != "name with a quote" {
				t.Errorf("name %q", item.Name)
			}
			for header, want := range map[string]string{
				"Content-Type": tt.wantKind, "X-Content-Type-Options": "nosniff",
				"Content-Security-Policy": "sandbox; default-src 'none'", "Cache-Control": "no-store",
			} {
				if r.header[header] != want {
					t.Errorf("%s: %q, want %q", header, r.header[header], want)
				}
			}
			d.pass(time.Second)
		})
	}
}

func allBytes() []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

func TestDocuments_replay(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	key := d.idempotencyKey()
	first := d.postFile(key, "a.txt", "", []byte("one"))
	d.want(first, 200, `{"name":"a.txt","mime_type":"text/plain"}`)
	d.pass(time.Hour)
	if again := d.postFile(key, "a.txt", "", []byte("one")); !bytes.Equal(again.body, first.body) {
		t.Errorf("the retry got %s, the first call %s", again.body, first.body)
	}
	d.want(d.postFile(key, "a.txt", "", []byte("two")), 409, "")
	d.want(d.postFile(key, "b.txt", "", []byte("one")), 409, "")
	d.want(d.get("/documents", ""), 200, `[{"name":"a.txt"}]`)
	var kept struct{ ID string }
	_ = json.Unmarshal(first.body, &kept)
	if r := d.get("/documents/"+kept.ID, ""); string(r.body) != "one" {
		t.Errorf("after a conflict the document reads %q", r.body)
	}
	// Without a key every upload is its own.
	if one, two := d.upload("a.txt", "", []byte("one")), d.upload("a.txt", "", []byte("one")); one == two {
		t.Error("two uploads got one id")
	}
	d.want(d.postFile("nonsense", "a.txt", "", []byte("one")), 400, "")
	d.pass(40 * 24 * time.Hour)
	d.want(d.postFile(key, "a.txt", "", []byte("one")), 400, `{"code":"clock"}`)
}

// A key that met a crash between the bytes and the row may come back with
// another file: the row names the bytes that came with it.
func TestDocuments_crash(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	key := d.idempotencyKey()
	d.wire.set(func(operation string, _ int) fate {
		if operation == "PutItem" {
			return lostBefore
		}
		return passes
	})
	d.want(d.postFile(key, "a.txt", "", []byte("one")), 503, "")
	d.want(d.get("/documents", ""), 200, `[]`)
	d.wire.set(nil)
	r := d.postFile(key, "a.txt", "", []byte("two"))
	d.want(r, 200, "")
	var kept struct{ ID string }
	_ = json.Unmarshal(r.body, &kept)
	if r := d.get("/documents/"+kept.ID, ""); string(r.body) != "two" {
		t.Errorf("the document reads %q, want two", r.body)
	}
}

func TestDocuments_lostReplies(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"PutItem", "S3.PUT"} {
		for end, how := range map[fate]string{lostBefore: "before", lostAfter: "after"} {
			for _, often := range []int{1, 4} {
				t.Run(fmt.Sprintf("%s lost %s, %d times", operation, how, often), func(t *testing.T) {
					t.Parallel()
					d := newDesk(t)
					key := d.idempotencyKey()
					d.wire.set(func(called string, n int) fate {
						if called == operation && n <= often {
							return end
						}
						return passes
					})
					r := d.postFile(key, "a.txt", "", []byte("one"))
					if often < cloud.Attempts && r.status != 200 || often >= cloud.Attempts && r.status != 503 {
						t.Errorf("status %d: %s", r.status, r.body)
					}
					d.want(d.postFile(key, "a.txt", "", []byte("one")), 200, "")
					d.want(d.get("/documents", ""), 200, `[{"name":"a.txt"}]`)
				})
			}
		}
	}
}

func TestDocuments_race(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	key := d.idempotencyKey()
	bodies := make([]string, 40)
	var wg sync.WaitGroup
	for i := range bodies {
		contentType, text := filePart("a.txt", "", []byte("same"))
		wg.Go(func() {
			r, err := d.send(context.WithoutCancel(t.Context()), d.api, call{method: "POST", path: "/documents", body: text,
				header: map[string]string{"content-type": contentType, "idempotency-key": key}})
			if err != nil || r.status != 200 {
				t.Errorf("%d %s %v", r.status, r.body, err)
			}
			bodies[i] = string(r.body)
		})
	}
	wg.Wait()
	if distinct := slices.Compact(slices.Sorted(slices.Values(bodies))); len(distinct) != 1 {
		t.Errorf("different answers: %v", distinct)
	}
	d.want(d.get("/documents", ""), 200, `[{"name":"a.txt"}]`)
}

func TestDocuments_lists(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var want []string
	for i := range 7 {
		d.pass(time.Minute)
		want = append([]string{d.upload(fmt.Sprintf("%d.txt", i), "", []byte("x"))}, want...)
	}
	page := func(query string) []string {
		t.Helper()
		var items []struct{ ID string }
		if r := d.get("/documents", query); r.status != 200 || json.Unmarshal(r.body, &items) != nil {
			t.Fatalf("status %d: %s", r.status, r.body)
		}
		ids := []string{}
		for _, item := range items {
			ids = append(ids, item.ID)
		}
		return ids
	}
	for query, want := range map[string][]string{
		"":        want,
		"limit=3": want[:3],
		"limit=3&starting_after_identifier=" + want[2]:                  want[3:6],
		"limit=3&starting_after_identifier=" + strings.ToUpper(want[5]): want[6:],
		"starting_after_identifier=" + want[6]:                          {},
	} {
		if diff := cmp.Diff(want, page(query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	r := d.get("/documents", "limit=3")
	if want := `<https://consent.example.test/documents?limit=3&starting_after_identifier=` + want[2] + `>; rel="next"`; r.header["Link"] != want {
		t.Errorf("Link %s, want %s", r.header["Link"], want)
	}
	if r := d.get("/documents", "limit=7"); r.header["Link"] != "" {
		t.Errorf("the last page links to %s", r.header["Link"])
	}
	d.want(d.get("/documents", "starting_after_identifier=none"), 400, "")
	d.want(d.get("/documents", "limit=many"), 400, "")
	calls := d.wire.count(func() { d.get("/documents", "limit=3&starting_after_identifier="+want[2]) })
	if diff := cmp.Diff(map[string]int{"GetItem": 1, "Query": 1}, calls); diff != "" {
		t.Error(diff)
	}

	d.key = d.open(otherSite)
	d.want(d.get("/documents", ""), 200, `[]`)
	d.want(d.get("/documents/"+want[0], ""), 404, `{"status":"not_found"}`)
	d.want(d.get("/documents", "starting_after_identifier="+want[0]), 400, "")
	d.want(d.publish(`{"identifier":"a","content":"x","document_ids":["`+want[0]+`"]}`), 200, "")
	d.want(d.get("/legal_notices/a/1", ""), 200, `{"documents":[{"id":"`+want[0]+`","missing":true}]}`)
}

func TestDocuments_badInput(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	good, body := filePart("a.txt", "", []byte("x"))
	part := func(header, text string) string {
		return "--b\r\n" + header + "\r\n\r\n" + text + "\r\n--b--\r\n"
	}
	const file = `Content-Disposition: form-data; name="file"; filename="a"`
	const kind = "multipart/form-data; boundary=b"
	_, large := filePart("a.txt", "", make([]byte, 1<<20))
	for name, tt := range map[string]struct {
		kind, body string
		status     int
	}{
		"no body":             {kind, "", 400},
		"JSON":                {"application/json", "{}", 415},
		"no type":             {"", body, 415},
		"no boundary":         {"multipart/form-data", body, 400},
		"another boundary":    {kind, body, 400},
		"truncated":           {good, body[:len(body)-8], 400},
		"truncated file":      {good, body[:len(body)-70], 400},
		"over 1 MB":           {good, large, 413},
		"no file":             {kind, part(`Content-Disposition: form-data; name="other"; filename="a"`, "x"), 400},
		"not form-data":       {kind, part(`Content-Disposition: attachment; name="file"; filename="a"`, "x"), 400},
		"a field, no file":    {kind, part(`Content-Disposition: form-data; name="file"`, "x"), 400},
		"empty":               {kind, part(file, ""), 400},
		"name of a directory": {kind, part(`Content-Disposition: form-data; name="file"; filename=".."`, "x"), 400},
		"name of slashes":     {kind, part(`Content-Disposition: form-data; name="file"; filename="a\\"`, "x"), 400},
		"name with a tab":     {kind, part("Content-Disposition: form-data; name=\"file\"; filename=\"a\tb\"", "x"), 400},
		"name with NUL":       {kind, part(`Content-Disposition: form-data; name="file"; filename*=UTF-8''a%00b`, "x"), 400},
		"name turned round":   {kind, part(`Content-Disposition: form-data; name="file"; filename*=UTF-8''a%E2%80%AEfdp.exe`, "x"), 400},
		"name not UTF-8":      {kind, part("Content-Disposition: form-data; name=\"file\"; filename=\"a\xff\"", "x"), 400},
		"name too long":       {kind, part(`Content-Disposition: form-data; name="file"; filename="`+strings.Repeat("x", 1025)+`"`, "x"), 400},
		"encoded":             {kind, part(file+"\r\nContent-Transfer-Encoding: base64", "eA=="), 400},
		"quoted-printable":    {kind, part(file+"\r\nContent-Transfer-Encoding: quoted-printable", "=78"), 400},
		"two files":           {kind, strings.TrimSuffix(part(file, "x"), "--\r\n") + "\r\n" + strings.TrimPrefix(part(file, "y"), "--b\r\n"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			r := d.do(call{method: "POST", path: "/documents", body: tt.body, header: map[string]string{"content-type": tt.kind}})
			d.want(r, tt.status, "")
		})
	}
	d.want(d.get("/documents", ""), 200, `[]`) // nothing of all this was kept
	for _, id := range []string{"x", "3b0e3c1e-52a4-4d0f-9a55-0d5a9b7c1f10", d.idempotencyKey()} {
		d.want(d.get("/documents/"+id, ""), 404, `{"status":"not_found"}`)
	}
	d.want(d.do(call{method: "DELETE", path: "/documents/x"}), 405, "")
	ok := d.do(call{method: "POST", path: "/documents", header: map[string]string{"content-type": kind},
		body: "preamble\r\n--b\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nignored\r\n" + part(file+"\r\nContent-Transfer-Encoding: binary", "x")})
	d.want(ok, 200, `{"name":"a","mime_type":"text/plain"}`)
}
