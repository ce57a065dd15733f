// Package mail hands letters to SES.
package mail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	netmail "net/mail"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

// patience is how long SES may take to answer. It is longer than for other
// services: when the answer does not come, a person has to look after the letter.
const patience = 10 * time.Second

// Sender sends mail through one configuration set, which says where bounces and
// complaints are told.
type Sender struct {
	call          cloud.Call[sesv2.SendEmailInput, sesv2.SendEmailOutput, sesv2.Options]
	configuration string
}

var _ request.Mailer = (*Sender)(nil)

// New returns a sender; configuration is the name of a configuration set.
func New(cfg aws.Config, configuration string) *Sender {
	client := sesv2.NewFromConfig(cfg, func(o *sesv2.Options) {
		o.Retryer = careful()
		if client, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
			o.HTTPClient = client.WithTimeout(patience)
		}
	})
	return &Sender{configuration: configuration, call: client.SendEmail}
}

// Send implements request.Mailer. SES knows no repetition of a call, so one
// whose outcome is not known is not repeated here.
//
//   - Invalid with request.ErrNotTaken: SES will never take this message.
//   - Any other kind with request.ErrNotTaken: it has not taken it now (its
//     limits, a pause or suspension of the account, a mistake of the template).
//   - Unavailable alone: nobody knows.
//
// No error holds an address, nor what SES has said beside the code: it quotes
// addresses.
// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html
func (s *Sender) Send(ctx context.Context, m letter.Message) (id string, err error) {
	in, err := s.input(m)
	if err != nil {
		return "", err
	}
	out, err := s.call(ctx, in)
	if err != nil {
		return "", fault(err)
	}
	return aws.ToString(out.MessageId), nil
}

func (s *Sender) input(m letter.Message) (*sesv2.SendEmailInput, error) {
	from, err := netmail.ParseAddress(m.From)
	if err != nil {
		return nil, never("the sender is no address")
	}
	to, err := recipient(m.To)
	if err != nil {
		return nil, err
	}
	utf8 := func(text string) *types.Content { return &types.Content{Data: &text, Charset: aws.String("UTF-8")} }
	body := &types.Body{Text: utf8(m.Text)}
	if m.HTML != "" {
		body.Html = utf8(m.HTML)
	}
	var tags []types.MessageTag // come back with the news of a bounce
	if m.Request != "" {
		tags = append(tags, types.MessageTag{Name: aws.String("request"), Value: &m.Request})
	}
	return &sesv2.SendEmailInput{
		EmailTags:            tags,
		ConfigurationSetName: &s.configuration,
		FromEmailAddress:     aws.String(from.String()), // a name in other letters than ASCII is encoded
		Destination:          &types.Destination{ToAddresses: []string{to}},
		Content:              &types.EmailContent{Simple: &types.Message{Subject: utf8(m.Subject), Body: body}},
	}, nil
}

// recipient is one address, never a list, with its domain in ASCII as SES wants
// it.
func recipient(to redact.String) (string, error) {
	a, err := netmail.ParseAddress(to.Reveal())
	if err != nil || a.Address != to.Reveal() {
		return "", never("the recipient is no address")
	}
	normal, ok := identity.NormalizeEmail(a.Address)
	if !ok {
		return "", never("the recipient is no address that mail can go to")
	}
	local := a.Address[:strings.LastIndexByte(a.Address, '@')]
	return local + normal[strings.LastIndexByte(normal, '@'):], nil
}

func never(why string) error { return notTaken(errs.New(errs.Invalid, "ses SendEmail: %s", why)) }

func notTaken(err error) error { return fmt.Errorf("%w (%w)", err, request.ErrNotTaken) }

// fault translates a failure of SES.
func fault(err error) error {
	const operation = "ses SendEmail"
	var api smithy.APIError
	if !errors.As(err, &api) {
		if unsent(err) {
			return notTaken(cloud.Fault(operation, err))
		}
		return cloud.Fault(operation, err)
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() >= http.StatusInternalServerError {
		return errs.New(errs.Unavailable, "%s: status %d", operation, response.HTTPStatusCode())
	}
	kind := errs.Internal
	switch api.ErrorCode() {
	case "MessageRejected", "BadRequestException":
		kind = errs.Invalid
	case "AccountSuspendedException", "SendingPausedException", "MailFromDomainNotVerifiedException":
		kind = errs.Unavailable // until somebody has spoken with AWS or mended the domain
	default:
		if throttled(err) {
			kind = errs.Unavailable
		}
	}
	return notTaken(errs.New(kind, "%s: %s", operation, api.ErrorCode()))
}

// careful repeats only what SES has surely not taken and may take soon.
func careful() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff = cloud.Attempts, cloud.MaxBackoff
		o.Retryables = []retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			return aws.BoolTernary(throttled(err) || unsent(err))
		})}
	})
}

func throttled(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	_, ok := retry.DefaultThrottleErrorCodes[api.ErrorCode()]
	return ok
}

// unsent reports whether there was no connection to send anything over.
func unsent(err error) bool {
	var connection *net.OpError
	return errors.As(err, &connection) && connection.Op == "dial"
}
