package whatsapp

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/redact"
)

// mediaHost serves the files of messages, with the same credentials as the API.
const mediaHost = "https://lookaside.fbsbx.com"

// Client calls the Graph API for one telephone number of the company. It is safe
// for concurrent use.
type Client struct {
	Config
	api   *kit.Client
	media *kit.Client
}

// NewClient returns a Client; a configuration that cannot work is Invalid. The
// secret is {"access_token": "…"}, of a system user with the permissions
// whatsapp_business_messaging and whatsapp_business_management.
func NewClient(o kit.System) (*Client, error) {
	c, err := ParseConfig(o.Inventory.System, o.Config)
	if err != nil {
		return nil, err
	}
	options := o.Kit
	options.System, options.Transport, options.Now, options.AllowLocal = o.Inventory.System, o.Transport, o.Now, c.AllowLocal
	options.Login = bearer{o.Inventory.System, o.Secret}
	options.Codes, options.Pauses, options.Code = codes, pauses, code
	client := &Client{Config: c}
	options.Base = strings.TrimRight(c.BaseURL, "/") + "/" + c.Version
	if client.api, err = kit.New(options); err != nil {
		return nil, err
	}
	options.Base = mediaHost
	if c.AllowLocal { // the fake serves both
		options.Base = c.BaseURL
	}
	client.media, err = kit.New(options)
	return client, err
}

// bearer is a token that does not expire. A replaced one is read within the time
// that secrets are remembered for.
type bearer struct {
	system string
	read   func(ctx context.Context) ([]byte, error)
}

// Token implements kit.Login.
func (b bearer) Token(ctx context.Context) (string, error) {
	text, err := b.read(ctx)
	if err != nil {
		return "", err
	}
	var secret struct {
		Token string `json:"access_token"`
	}
	if json.Unmarshal(text, &secret) != nil || secret.Token == "" || strings.ContainsAny(secret.Token, " \r\n") {
		return "", errs.New(errs.Forbidden, "system %q: the secret must be {\"access_token\": …}", b.system)
	}
	return "Bearer " + secret.Token, nil
}

// Renew implements kit.Login.
func (bearer) Renew(string) bool { return false }

// code reads {"error": {"code": 130429, …}}. Its texts quote numbers and names.
func code(a *kit.Answer) string {
	var body struct {
		Error *struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	if a.JSON(&body) != nil || body.Error == nil {
		return ""
	}
	return strconv.Itoa(body.Error.Code)
}

// The codes that mean something, whatever the status that carries them
// (developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes).
var (
	later = []string{"1", "2", "4", "80007", "130429", "131016", "131048", "131056", "131057", "133016"}
	auth  = []string{"0", "10", "190", "200", "210", "294", "299"}
	never = []string{
		"100", "131008", "131009", "131026", "131047", "131049", "131050", "131051", "132000", "132001", "132005", "132007", "132012",
		"132015", "132016", "130472", "131031", "368",
	}
	codes = kinds()
	// pauses are for codes that come without Retry-After. A pair of numbers may talk
	// again after 4^n seconds (131056): the caller doubles what it waits.
	pauses = map[string]time.Duration{
		"4": time.Minute, "80007": time.Minute, "130429": 2 * time.Second, "131048": time.Hour, "131056": 6 * time.Second, "131057": time.Hour, "133016": time.Hour,
	}
)

func kinds() map[string]errs.Kind {
	all := map[string]errs.Kind{}
	for kind, list := range map[errs.Kind][]string{errs.Unavailable: later, errs.Forbidden: auth, errs.Invalid: never} {
		for _, c := range list {
			all[c] = kind
		}
	}
	return all
}

// The refusals of a message that the company has to act on.
const (
	WindowClosed = "131047" // more than 24 hours since the person has written: a template is needed
	OptedOut     = "131050" // the person has stopped all marketing in WhatsApp itself
	Unreachable  = "131026" // no WhatsApp, old version, or blocked
)

// Refusal is a message that Meta will never send. Its text is the code.
type Refusal struct{ Code string }

// Error implements error.
func (r *Refusal) Error() string { return "the message is refused with code " + r.Code }

// Sent is a message that Meta has taken.
type Sent struct {
	ID redact.String // wamid: holds the telephone number
}

// Template is a message by an approved template.
type Template struct {
	Name string
	Code string   // language, as Meta writes it
	Body []string // what stands in for {{1}}, {{2}}, …
	// Payloads of the quick-reply buttons, in order.
	Payloads []string
}

// Button is a quick reply under a text.
type Button struct {
	Payload string
	Label   string // at most 20 characters
}

// SendTemplate sends a template. It is not repeatable: where the outcome is not
// known (kit.Unapplied is false of the error), the message may have gone out.
func (c *Client) SendTemplate(ctx context.Context, to redact.String, t Template) (Sent, error) {
	components := []map[string]any{}
	if len(t.Body) > 0 {
		components = append(components, map[string]any{"type": "body", "parameters": texts("text", t.Body)})
	}
	for i, p := range t.Payloads {
		components = append(components, map[string]any{"type": "button", "sub_type": "quick_reply", "index": strconv.Itoa(i), "parameters": texts("payload", []string{p})})
	}
	return c.send(ctx, to, "template", map[string]any{"name": t.Name, "language": map[string]any{"code": t.Code}, "components": components})
}

func texts(kind string, values []string) []map[string]any {
	var list []map[string]any
	for _, v := range values {
		list = append(list, map[string]any{"type": kind, kind: v})
	}
	return list
}

// SendText sends free text, with up to three quick replies: possible within 24
// hours of the person's last message only.
func (c *Client) SendText(ctx context.Context, to redact.String, body string, buttons ...Button) (Sent, error) {
	if len(buttons) == 0 {
		return c.send(ctx, to, "text", map[string]any{"body": body, "preview_url": false})
	}
	var list []map[string]any
	for _, b := range buttons {
		list = append(list, map[string]any{"type": "reply", "reply": map[string]any{"id": b.Payload, "title": b.Label}})
	}
	return c.send(ctx, to, "interactive", map[string]any{"type": "button", "body": map[string]any{"text": body}, "action": map[string]any{"buttons": list}})
}

func (c *Client) send(ctx context.Context, to redact.String, kind string, content any) (Sent, error) {
	body := map[string]any{"messaging_product": "whatsapp", "recipient_type": "individual", "type": kind, kind: content}
	// People without a number are addressed by their user id (guess: the field has
	// this name in the spring of 2026).
	if field := "to"; strings.HasPrefix(to.Reveal(), "+") {
		body[field] = to.Reveal()
	} else {
		body["recipient"] = to.Reveal()
	}
	a, err := c.api.Do(ctx, kit.Call{Method: http.MethodPost, Route: kit.To("/{number}/messages", c.NumberID), Body: body, ExpectCodes: never})
	if err != nil {
		return Sent{}, err
	}
	if refused := code(a); refused != "" {
		return Sent{}, &Refusal{refused}
	}
	var answer struct {
		Messages []struct {
			ID string `json:"id"`
		} `json:"messages"`
	}
	if err := a.JSON(&answer); err != nil {
		return Sent{}, err
	}
	if len(answer.Messages) != 1 || answer.Messages[0].ID == "" {
		return Sent{}, errs.New(errs.Unavailable, "%s POST /{number}/messages: the answer names no message", Kind)
	}
	return Sent{ID: redact.String(answer.Messages[0].ID)}, nil
}

// File is a file of a message, at Meta. Its address is good for five minutes.
type File struct {
	URL       string
	MediaType string
}

// Media finds a file; NotFound when it is gone (Meta keeps one for 30 days).
func (c *Client) Media(ctx context.Context, id redact.String) (File, error) {
	var f struct {
		URL       string `json:"url"`
		MediaType string `json:"mime_type"`
	}
	a, err := c.api.Do(ctx, kit.Call{Method: http.MethodGet, Route: c.file(id), Expect: []int{http.StatusNotFound}, ExpectCodes: []string{"100"}})
	if err != nil {
		return File{}, err
	}
	if gone(a) {
		return File{}, errs.New(errs.NotFound, "the file is gone")
	}
	err = a.JSON(&f)
	return File{URL: f.URL, MediaType: f.MediaType}, err
}

// gone: Meta answers an id that does not exist with 404, or with 400 and code
// 100, which also means "or you may not see it" (guess: both are met).
func gone(a *kit.Answer) bool { return a.Status == http.StatusNotFound || code(a) == "100" }

func (c *Client) file(id redact.String) kit.Route {
	return kit.To("/{media}", id.Reveal()).With("phone_number_id", c.NumberID)
}

// Open begins to read a file.
func (c *Client) Open(ctx context.Context, f File) (*kit.File, error) {
	return c.media.Open(ctx, "/{file}", f.URL)
}

// DeleteMedia deletes a file; false when there was none any more.
func (c *Client) DeleteMedia(ctx context.Context, id redact.String) (bool, error) {
	a, err := c.api.Do(ctx, kit.Call{Method: http.MethodDelete, Route: c.file(id), Expect: []int{http.StatusNotFound}, ExpectCodes: []string{"100"}})
	if err != nil || gone(a) {
		return false, err
	}
	var answer struct {
		Success bool `json:"success"`
	}
	if err := a.JSON(&answer); err != nil {
		return false, err
	}
	if !answer.Success {
		return false, errs.New(errs.Unavailable, "%s DELETE /{media}: the answer does not say that it succeeded", Kind)
	}
	return true, nil
}

// pages bounds a list of Meta's.
const pages = 1000

// paging is where a list goes on.
type paging struct {
	Cursors struct {
		After string `json:"after"`
	} `json:"cursors"`
	Next string `json:"next"`
}

// after is the cursor of the next page; "" behind the last one, which has a cursor,
// too.
func (p paging) after() string {
	if p.Next == "" {
		return ""
	}
	return p.Cursors.After
}

// Blocked reports whether a person is on the number's block list.
func (c *Client) Blocked(ctx context.Context, who redact.String) (bool, error) {
	found := false
	err := kit.Walk(pages, func(cursor string) (string, error) {
		route := kit.To("/{number}/block_users", c.NumberID)
		if cursor != "" {
			route = route.With("after", cursor)
		}
		var page struct {
			Data []struct {
				ID string `json:"wa_id"`
			} `json:"data"`
			Paging paging `json:"paging"`
		}
		if err := c.api.Get(ctx, route, &page); err != nil {
			return "", err
		}
		for _, one := range page.Data {
			found = found || "+"+one.ID == who.Reveal()
		}
		if found {
			return "", nil
		}
		return page.Paging.after(), nil
	})
	return found, err
}

// Block puts a person on the block list: they can then not write either.
// Repeating it changes nothing. Meta takes only who has written in the last 24
// hours (guess): false when it does not, or does not say that it has.
func (c *Client) Block(ctx context.Context, who redact.String) (bool, error) {
	a, err := c.api.Do(ctx, kit.Call{
		Method: http.MethodPost, Route: kit.To("/{number}/block_users", c.NumberID), Repeatable: true, ExpectCodes: []string{"100", "131047", "139100"},
		Body: map[string]any{"messaging_product": "whatsapp", "block_users": []map[string]any{{"user": who.Reveal()}}},
	})
	if err != nil || code(a) != "" {
		return false, err
	}
	var answer struct {
		Users struct {
			Added []struct {
				ID string `json:"wa_id"`
			} `json:"added_users"`
		} `json:"block_users"`
	}
	if err := a.JSON(&answer); err != nil {
		return false, err
	}
	for _, one := range answer.Users.Added { // Meta answers 200 and leaves somebody out
		if "+"+one.ID == who.Reveal() {
			return true, nil
		}
	}
	return false, nil
}

// LinksNotice reports whether the number's business profile links the privacy
// notice: as a website, or in one of its texts.
func (c *Client) LinksNotice(ctx context.Context) (bool, error) {
	var answer struct {
		Data []struct {
			profile
			Nested profile `json:"business_profile"` // the contract's form; the API's own is flat (guess: both are met)
		} `json:"data"`
	}
	route := kit.To("/{number}/whatsapp_business_profile", c.NumberID).With("fields", "about,description,websites")
	if err := c.api.Get(ctx, route, &answer); err != nil {
		return false, err
	}
	for _, one := range answer.Data {
		if one.links(c.PrivacyURL) || one.Nested.links(c.PrivacyURL) {
			return true, nil
		}
	}
	return false, nil
}

type profile struct {
	About       string   `json:"about"`
	Description string   `json:"description"`
	Websites    []string `json:"websites"`
}

func (p profile) links(address string) bool {
	address = strings.TrimRight(address, "/")
	for _, site := range p.Websites {
		if strings.TrimRight(site, "/") == address {
			return true
		}
	}
	return strings.Contains(p.About, address) || strings.Contains(p.Description, address)
}

// TemplateState is what Meta says of a template in a language.
type TemplateState struct {
	Approved bool // it may be sent
	Stops    bool // it says how to stop: the word STOP, or a button that is a keyword
}

// Template asks for the state of a template. One that does not exist is not
// approved.
func (c *Client) Template(ctx context.Context, name, language string) (TemplateState, error) {
	type button struct {
		Text string `json:"text"`
	}
	var state TemplateState
	err := kit.Walk(pages, func(cursor string) (string, error) {
		route := kit.To("/{account}/message_templates", c.AccountID).With("name", name)
		if cursor != "" {
			route = route.With("after", cursor)
		}
		var page struct {
			Data []struct {
				Name       string `json:"name"`
				Language   string `json:"language"`
				Status     string `json:"status"`
				Components []struct {
					Text    string   `json:"text"`
					Buttons []button `json:"buttons"`
				} `json:"components"`
			} `json:"data"`
			Paging paging `json:"paging"`
		}
		if err := c.api.Get(ctx, route, &page); err != nil {
			return "", err
		}
		for _, t := range page.Data {
			if t.Name != name || t.Language != language { // the search finds parts of names
				continue
			}
			state.Approved = t.Status == "APPROVED"
			for _, part := range t.Components {
				state.Stops = state.Stops || stopWord.MatchString(part.Text)
				for _, b := range part.Buttons {
					word, _ := chat.Keyword(b.Text)
					state.Stops = state.Stops || word == chat.Stop
				}
			}
			return "", nil
		}
		return page.Paging.after(), nil
	})
	return state, err
}

// stopWord is the instruction to stop in a text.
var stopWord = regexp.MustCompile(`\bSTOP\b`)

// Later is how long to wait after the n-th failure (from 0) of a message: Meta's
// own pause, or 4^n seconds, up to an hour.
func Later(err error, n int) time.Duration {
	own, _ := connector.RetryAfter(err)
	return min(max(own, time.Duration(1)<<(2*min(n, 6))*time.Second), time.Hour)
}
