package zendeskchat

import (
	"context"
	"strings"

	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// codes are the vendor's error codes that may stand in an error text.
var codes = map[string]errs.Kind{
	invalidClient: errs.Forbidden, "invalid_grant": errs.Forbidden, "invalid_scope": errs.Forbidden, "unauthorized_client": errs.Forbidden,
	"unsupported_grant_type": errs.Forbidden, "invalid_token": "", "forbidden": "", "not_found": "", "bad_request": "",
}

const invalidClient = "invalid_client"

// login explains why a token is refused. Client credentials are for clients of
// type confidential, and saving a client in the dashboard makes it public again.
type login struct {
	*kit.Tokens
	system string
}

// Token implements kit.Login.
func (l login) Token(ctx context.Context) (string, error) {
	token, err := l.Tokens.Token(ctx)
	if errs.Is(err, errs.Forbidden) && strings.HasSuffix(err.Error(), " "+invalidClient) {
		return "", errs.Wrap(errs.Forbidden, err,
			"system %q: Zendesk Chat does not accept the OAuth client (%s): its secret is another one, or saving it in the dashboard has made it public; set its client_type to confidential again",
			l.system, invalidClient)
	}
	return token, err
}
