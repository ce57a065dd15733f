package kit

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/avow-consent/avow/internal/errs"
)

// Login gives calls their credentials.
type Login interface {
	// Token is the value of the Authorization header.
	Token(ctx context.Context) (string, error)
	// Renew is told that the vendor does not accept a token. It reports whether
	// another one can be had.
	Renew(refused string) bool
}

// Early is how long before its end a token is replaced, at the most.
const Early = time.Minute

// Tokens is a Login that fetches tokens and keeps each until shortly before it
// expires. One fetch serves all that wait for it.
type Tokens struct {
	now   func() time.Time
	fetch func(ctx context.Context) (token string, valid time.Duration, err error)

	mu      sync.Mutex
	token   string
	renewAt time.Time // zero: when the vendor refuses it
}

// NewTokens returns Tokens. fetch gives the header's value and how long it is
// valid; 0 is as long as the vendor accepts it.
func NewTokens(now func() time.Time, fetch func(ctx context.Context) (token string, valid time.Duration, err error)) *Tokens {
	return &Tokens{now: now, fetch: fetch}
}

// Token implements Login.
func (t *Tokens) Token(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != "" && (t.renewAt.IsZero() || t.now().Before(t.renewAt)) {
		return t.token, nil
	}
	asked := t.now()
	token, valid, err := t.fetch(ctx)
	if err != nil {
		return "", err
	}
	t.token, t.renewAt = token, time.Time{}
	if valid > 0 {
		t.renewAt = asked.Add(valid - min(Early, valid/10))
	}
	return token, nil
}

// Renew implements Login.
func (t *Tokens) Renew(refused string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == refused {
		t.token = ""
	}
	return true
}

// Credentials are the id and the secret of an API client.
type Credentials struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
}

// ClientCredentials fetches tokens by OAuth 2.0 client credentials (RFC 6749
// section 4.4). The client must have no Login of its own; credentials are read
// anew for each fetch, so that replaced ones work at once.
func ClientCredentials(c *Client, route Route, scope string, credentials func(ctx context.Context) (Credentials, error)) *Tokens {
	return c.tokens(route, credentials, func(own Credentials) Call {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {own.ID}, "client_secret": {own.Secret}}
		if scope != "" {
			form.Set("scope", scope)
		}
		return Call{Form: form}
	})
}

// JSONCredentials is ClientCredentials at a vendor that wants JSON instead of
// the form of RFC 6749. more are further fields of the body, such as "scope".
func JSONCredentials(c *Client, route Route, more map[string]any, credentials func(ctx context.Context) (Credentials, error)) *Tokens {
	return c.tokens(route, credentials, func(own Credentials) Call {
		body := map[string]any{"grant_type": "client_credentials", "client_id": own.ID, "client_secret": own.Secret}
		maps.Copy(body, more)
		return Call{Body: body}
	})
}

// BasicCredentials is ClientCredentials at a vendor that wants the client's id
// and secret by Basic (RFC 6749 section 2.3.1) and nothing of them in the form.
func BasicCredentials(c *Client, route Route, form url.Values, credentials func(ctx context.Context) (Credentials, error)) *Tokens {
	return c.tokens(route, credentials, func(own Credentials) Call {
		return Call{Form: form, Header: http.Header{"Authorization": {own.basic()}}}
	})
}

// basic is the value of an Authorization header.
func (c Credentials) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.ID+":"+c.Secret))
}

// tokens are fetched by a call that ask makes of the credentials.
func (c *Client) tokens(route Route, credentials func(ctx context.Context) (Credentials, error), ask func(Credentials) Call) *Tokens {
	return NewTokens(c.o.Now, func(ctx context.Context) (string, time.Duration, error) {
		own, err := credentials(ctx)
		if err != nil {
			return "", 0, err
		}
		call := ask(own)
		call.Method, call.Route, call.Repeatable = http.MethodPost, route, true
		a, err := c.Do(ctx, call)
		if err != nil {
			return "", 0, err
		}
		var granted struct {
			Token   string  `json:"access_token"`
			Expires float64 `json:"expires_in"`
		}
		if err := a.JSON(&granted); err != nil {
			return "", 0, err
		}
		if granted.Token == "" {
			return "", 0, errs.New(errs.Internal, "%s POST %s: the answer has no token", c.o.System, route)
		}
		return "Bearer " + granted.Token, time.Duration(max(0, granted.Expires)) * time.Second, nil
	})
}

// Basic is a Login by name and password that cannot be renewed.
type Basic struct {
	Read func(ctx context.Context) (Credentials, error)
}

// Token implements Login.
func (b Basic) Token(ctx context.Context) (string, error) {
	own, err := b.Read(ctx)
	if err != nil {
		return "", err
	}
	return own.basic(), nil
}

// Renew implements Login.
func (Basic) Renew(string) bool { return false }
