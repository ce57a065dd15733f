package dynamo

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/redact"
)

// Messages keeps chats: who has written, what was sent, and to whom nothing may
// be sent. Each person is a partition; silence has partitions of its own, which
// an erasure leaves alone.
type Messages struct {
	client *client
	table  string
	now    func() time.Time
}

var (
	_ chat.Store  = (*Messages)(nil)
	_ chat.Keeper = (*Messages)(nil)
)

// NewMessages returns the messages in the given table.
func NewMessages(cfg aws.Config, table string, now func() time.Time) *Messages {
	return &Messages{client: newClient(cfg), table: table, now: now}
}

// Contact implements chat.Store.
func (s *Messages) Contact(ctx context.Context, person string) (*chat.Contact, error) {
	row, err := s.get(ctx, messageRow(person, contactSort))
	if row == nil || err != nil {
		return nil, err
	}
	c := decodeContact(row)
	return &c, nil
}

// get reads a row consistently; nil when there is none, or when its time is over
// and DynamoDB has not come to delete it yet.
func (s *Messages) get(ctx context.Context, key item) (item, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, cloud.Fault("dynamodb GetItem", err)
	}
	if out.Item == nil || s.over(out.Item) {
		return nil, nil
	}
	return out.Item, nil
}

// over reports whether a row's time is over (expires, in seconds, is the table's
// TTL attribute).
func (s *Messages) over(row item) bool {
	_, ends := row["expires"]
	return ends && getNumber(row, "expires") <= s.now().Unix()
}

// Meet implements chat.Store. A row whose time is over is begun anew: nothing of
// it comes back.
func (s *Messages) Meet(ctx context.Context, c chat.Contact) error {
	known := item{}
	known.setText("phone", c.Phone.Reveal())
	known.setText("userId", c.UserID.Reveal())
	known.setText("lang", c.Language)
	set, values := []string{"lastIn = :t", "expires = :e"}, item{":t": millis(c.LastIn), ":e": number(c.Expires.Unix()), ":now": number(s.now().Unix())}
	for name, value := range known {
		set = append(set, name+" = :"+name)
		values[":"+name] = value
	}
	done, err := s.update(ctx, messageRow(c.Person, contactSort), "SET "+strings.Join(set, ", "), "lastIn <= :t AND expires > :now", values)
	if done || err != nil {
		return err
	}
	row := messageRow(c.Person, contactSort)
	maps.Copy(row, known)
	row["lastIn"], row["expires"] = values[":t"], values[":e"]
	return s.putIf(ctx, row, "attribute_not_exists(entry) OR expires <= :now", item{":now": values[":now"]})
}

// update changes one row; false where the condition does not hold.
func (s *Messages) update(ctx context.Context, key item, update, condition string, values item) (bool, error) {
	_, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: key, UpdateExpression: &update, ConditionExpression: &condition, ExpressionAttributeValues: values,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return false, nil
	}
	return err == nil, cloud.Fault("dynamodb UpdateItem", err)
}

// put puts a row unless there is one with its key.
func (s *Messages) put(ctx context.Context, row item) error {
	return s.putIf(ctx, row, "attribute_not_exists(entry)", nil)
}

// putIf puts a row where the condition holds.
func (s *Messages) putIf(ctx context.Context, row item, condition string, values item) error {
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.table, Item: row, ConditionExpression: &condition, ExpressionAttributeValues: values})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return nil
	}
	return cloud.Fault("dynamodb PutItem", err)
}

// Seen implements chat.Store.
func (s *Messages) Seen(ctx context.Context, person, message string) (bool, error) {
	row, err := s.get(ctx, messageRow(person, incomingPrefix+message))
	return row != nil, err
}

// Keep implements chat.Store.
func (s *Messages) Keep(ctx context.Context, m chat.Incoming) error {
	row := messageRow(m.Person, incomingPrefix+m.Message)
	row["at"], row["expires"] = millis(m.At), number(m.Expires.Unix())
	row.setText("type", m.Type)
	row.setText("media", m.Media.Reveal())
	return s.put(ctx, row)
}

// Note implements chat.Store.
func (s *Messages) Note(ctx context.Context, o chat.Outgoing) error {
	row := messageRow(o.Person, outgoingPrefix+o.ID)
	row["purpose"], row["system"], row["sendTo"], row["at"], row["progress"] = text(string(o.Purpose)), text(o.System), text(o.To.Reveal()), millis(o.At), text(string(chat.Due))
	row["expires"] = number(o.Expires.Unix())
	row.setText("lang", o.Language)
	row.setText("about", o.About)
	row.setText("preference", o.Preference)
	row.setText("says", o.Text.Reveal())
	row.setText("brief", o.Brief.Reveal())
	row.setText("template", o.Template)
	row.setText("wording", o.Version)
	return s.put(ctx, row)
}

// Message implements chat.Store.
func (s *Messages) Message(ctx context.Context, person, id string) (*chat.Outgoing, error) {
	row, err := s.get(ctx, messageRow(person, outgoingPrefix+id))
	if row == nil || err != nil {
		return nil, err
	}
	o := decodeOutgoing(row)
	return &o, nil
}

// Take implements chat.Store.
func (s *Messages) Take(ctx context.Context, person, id, by string, at time.Time) (bool, error) {
	return s.update(ctx, messageRow(person, outgoingPrefix+id), "SET progress = :s, sent = :t, takenBy = :b", "progress = :due OR progress = :s AND takenBy = :b",
		item{":s": text(string(chat.Sending)), ":t": millis(at), ":b": text(by), ":due": text(string(chat.Due))})
}

// Settle implements chat.Store.
func (s *Messages) Settle(ctx context.Context, o chat.Outgoing) error {
	update, gone := "SET progress = :s, sent = :t, reason = :r, message = :m", ""
	values := item{":s": text(string(o.State)), ":t": millis(o.Sent), ":r": text(o.Reason), ":m": text(o.Message.Reveal())}
	for _, one := range []struct{ name, value string }{{"says", o.Text.Reveal()}, {"brief", o.Brief.Reveal()}, {"template", o.Template}, {"wording", o.Version}} {
		if one.value == "" {
			gone += ", " + one.name
			continue
		}
		update += ", " + one.name + " = :" + one.name
		values[":"+one.name] = text(one.value)
	}
	if gone != "" {
		update += " REMOVE " + gone[len(", "):]
	}
	values[":sent"] = text(string(chat.Sent))
	done, err := s.update(ctx, messageRow(o.Person, outgoingPrefix+o.ID), update, "attribute_exists(entry) AND (progress <> :sent OR message = :m)", values)
	if err == nil && !done {
		return errs.New(errs.Conflict, "the message is gone, or was sent")
	}
	return err
}

// Bind implements chat.Store.
func (s *Messages) Bind(ctx context.Context, o chat.Outgoing, message string) error {
	row := messageRow(o.Person, sentPrefix+message)
	row["id"], row["expires"] = text(o.ID), number(o.Expires.Unix())
	return s.put(ctx, row)
}

// ranks put what the vendor reports in order: reports come in any.
var ranks = map[string]int64{"sent": 1, "delivered": 2, "read": 3, "failed": 4}

// Report implements chat.Store.
func (s *Messages) Report(ctx context.Context, person, message, delivery string, code int) error {
	row, err := s.get(ctx, messageRow(person, sentPrefix+message))
	if row == nil || err != nil {
		return err
	}
	_, err = s.update(ctx, messageRow(person, outgoingPrefix+getText(row, "id")), "SET delivery = :d, deliveryRank = :r, code = :c",
		"attribute_exists(entry) AND (attribute_not_exists(deliveryRank) OR deliveryRank < :r)",
		item{":d": text(delivery), ":r": number(ranks[delivery]), ":c": number(int64(code))})
	return err
}

// Silence implements chat.Store.
func (s *Messages) Silence(ctx context.Context, address string, r chat.Reason, stop bool, at time.Time, by string) (first bool, err error) {
	key := silenceRow(address, r)
	values := item{":t": millis(at), ":b": text(by), ":yes": flag(true), ":no": flag(false)}
	if !stop {
		delete(values, ":yes")
		_, err = s.update(ctx, key, "SET stopped = :no, said = :t, saidBy = :b", "attribute_not_exists(said) OR said < :t", values)
		return false, err
	}
	done, err := s.update(ctx, key, "SET stopped = :yes, said = :t, saidBy = :b", "attribute_not_exists(said) OR stopped = :no AND said <= :t", values)
	if done || err != nil {
		return done, err
	}
	// They are stopped already, or were allowed later than this.
	delete(values, ":no")
	delete(values, ":b")
	if _, err := s.update(ctx, key, "SET said = :t", "stopped = :yes AND said < :t", values); err != nil {
		return false, err
	}
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return false, cloud.Fault("dynamodb GetItem", err)
	}
	return getBool(out.Item, "stopped") && getText(out.Item, "saidBy") == by, nil
}

// Silenced implements chat.Store.
func (s *Messages) Silenced(ctx context.Context, address string) (reasons []chat.Reason, err error) {
	out, err := s.client.Query(ctx, &dynamodb.QueryInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("person = :p"),
		ExpressionAttributeValues: item{":p": text(silencePrefix + address)},
	})
	if err != nil {
		return nil, cloud.Fault("dynamodb Query", err)
	}
	for _, row := range out.Items {
		if getBool(row, "stopped") {
			reasons = append(reasons, chat.Reason(getText(row, "entry")))
		}
	}
	return reasons, nil
}

// Left implements chat.Store: the row of that reason stays, also when it stops
// nothing any more.
func (s *Messages) Left(ctx context.Context, address string) (time.Time, error) {
	row, err := s.get(ctx, silenceRow(address, chat.Moved))
	if row == nil || err != nil {
		return time.Time{}, err
	}
	return getTime(row, "said"), nil
}

// Rows implements chat.Keeper.
func (s *Messages) Rows(ctx context.Context, person, after string, limit int) ([]chat.Row, string, error) {
	in := &dynamodb.QueryInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("person = :p"), Limit: aws.Int32(int32(limit)),
		ExpressionAttributeValues: item{":p": text(person)},
	}
	if after != "" {
		in.ExclusiveStartKey = messageRow(person, after)
	}
	out, err := s.client.Query(ctx, in)
	if err != nil {
		return nil, "", cloud.Fault("dynamodb Query", err)
	}
	var rows []chat.Row
	for _, row := range out.Items { // those whose time is over, too: they are still there
		r := chat.Row{Entry: getText(row, "entry")}
		switch {
		case r.Entry == contactSort:
			r.Contact = new(decodeContact(row))
		case strings.HasPrefix(r.Entry, incomingPrefix):
			r.Incoming = &chat.Incoming{
				Person: person, Message: strings.TrimPrefix(r.Entry, incomingPrefix), At: getTime(row, "at"), Type: getText(row, "type"),
				Media: redact.String(getText(row, "media")), Expires: seconds(row),
			}
		case strings.HasPrefix(r.Entry, outgoingPrefix):
			r.Outgoing = new(decodeOutgoing(row))
		}
		rows = append(rows, r)
	}
	return rows, getText(out.LastEvaluatedKey, "entry"), nil
}

// Remove implements chat.Keeper.
func (s *Messages) Remove(ctx context.Context, person, entry string) error {
	_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.table, Key: messageRow(person, entry)})
	return cloud.Fault("dynamodb DeleteItem", err)
}

func flag(b bool) types.AttributeValue { return &types.AttributeValueMemberBOOL{Value: b} }

// seconds reads the TTL attribute.
func seconds(row item) time.Time { return time.Unix(getNumber(row, "expires"), 0).UTC() }

func decodeContact(row item) chat.Contact {
	return chat.Contact{
		Person: getText(row, "person"), Phone: redact.String(getText(row, "phone")), UserID: redact.String(getText(row, "userId")),
		Language: getText(row, "lang"), LastIn: getTime(row, "lastIn"), Expires: seconds(row),
	}
}

func decodeOutgoing(row item) chat.Outgoing {
	o := chat.Outgoing{
		Person: getText(row, "person"), ID: strings.TrimPrefix(getText(row, "entry"), outgoingPrefix), Purpose: chat.Purpose(getText(row, "purpose")),
		System: getText(row, "system"), To: redact.String(getText(row, "sendTo")), Language: getText(row, "lang"), About: getText(row, "about"),
		Preference: getText(row, "preference"), Text: redact.String(getText(row, "says")), Brief: redact.String(getText(row, "brief")), Template: getText(row, "template"), Version: getText(row, "wording"),
		State: chat.State(getText(row, "progress")), Reason: getText(row, "reason"), Message: redact.String(getText(row, "message")),
		At: getTime(row, "at"), Delivery: getText(row, "delivery"), Code: int(getNumber(row, "code")), Expires: seconds(row),
	}
	if _, ok := row["sent"]; ok {
		o.Sent = getTime(row, "sent")
	}
	return o
}
