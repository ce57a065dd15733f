package stream

import "github.com/aws/aws-lambda-go/events"

// Text is an attribute of an image or of keys; "" when it is not there, or no text.
func Text(image map[string]events.DynamoDBAttributeValue, name string) string {
	if v, ok := image[name]; ok && v.DataType() == events.DataTypeString {
		return v.String()
	}
	return ""
}

// Number is an attribute of an image; 0 when it is not there, or no whole number.
func Number(image map[string]events.DynamoDBAttributeValue, name string) int64 {
	if v, ok := image[name]; ok && v.DataType() == events.DataTypeNumber {
		n, _ := v.Integer()
		return n
	}
	return 0
}
