//! stub
use std::borrow::Cow;
#[derive(Clone,PartialEq,Eq,Debug)] pub struct Query(String);
pub enum Value<'a>{Str(Cow<'a,str>),Number(f64),Bool(bool),List(Vec<Value<'a>>)}
pub trait Record{fn field(&self,path:&str)->Option<Value<'_>>;}
impl Query{pub fn parse(s:&str)->Result<Query,String>{Ok(Query(s.into()))} pub fn source(&self)->&str{&self.0} pub fn fields(&self)->std::collections::BTreeSet<String>{self.0.split_once(':').map(|x|x.0.to_string()).into_iter().collect()} pub fn matches<R:Record+?Sized>(&self,r:&R)->bool{let Some((f,v))=self.0.split_once(':') else{return false}; matches!(r.field(f),Some(Value::Str(s)) if s==v)}}
pub fn suggest<'a>(_:&str,_:impl Iterator<Item=&'a str>)->Option<&'a str>{None}
