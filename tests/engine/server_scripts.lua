-- Scripts of one line each, whose replies are compared with those of real servers (tests/engine/test_scripting.py).
return cjson.encode({url='http://a/b',n=ARGV[1]})
return cjson.encode({})
return cjson.encode({1,2,nil,4})
return cjson.encode({[1]=1,[3]=2})
return cjson.encode({[100]=1})
return cjson.encode({a={b={c={1,2,{}}}}, x=true, y=false, z=cjson.null, w='"\\\n\127\1'})
return cjson.encode({[1.5]=1})
return cjson.encode(0.1)
return cjson.encode(1/3)
return cjson.encode(1e20)
return cjson.encode(12345678901234567)
return cjson.encode(-0)
return cjson.encode(0/0)
return cjson.encode(function() end)
local t={} t[1]=t return cjson.encode(t)
local t={} for i=1,900 do t={t} end return #cjson.encode(t)
return cjson.decode('{"a":[1,2.5,"x\\u00e9\\ud83d\\ude00",null,true]}').a[3]
return tostring(cjson.decode('[1e3]')[1])
return tostring(cjson.decode('[0x10]')[1])
return tostring(cjson.decode('[nan]')[1])
return tostring(cjson.decode('[-Infinity]')[1])
return cjson.decode('[1,]')
return cjson.decode('')
return cjson.decode('[1] x')
return cjson.decode('["a\\q"]')
return cjson.encode(cjson.decode('{"b":1,"a":2,"c":{"z":[]},"d":"\\/"}'))
return bit.bxor(5,3)
return {bit.tobit(0xffffffff), bit.tobit(2^31), bit.bnot(0), bit.band(0xff,0x0f,7), bit.bor(1,2,4), bit.lshift(1,31), bit.rshift(-1,28), bit.arshift(-256,4), bit.rol(0x12345678,8), bit.ror(0x12345678,8), bit.bswap(0x12345678), bit.tobit(1.5), bit.tobit(2.5), bit.tobit(-1.5),bit.tobit(2^40+3)}
return {bit.tohex(255), bit.tohex(255,4), bit.tohex(-1,-8), bit.tohex(1,0)}
return bit.band()
return struct.pack('>I4',258)
return struct.pack('<hHbBiIlL',-2,3,-4,5,-6,7,-8,9)
return struct.pack('>i3',-2)
return struct.pack('sc3c0','abc','defg','hi')
return struct.pack('>d<f',1.5,-2.25)
return struct.pack('!4bi',1,2)
return {struct.unpack('>I2hb','\1\2\255\254\200')}
return {struct.unpack('Bc0s','\3abcdef\0x')}
return {struct.size('>I2!4bi'), struct.size('d')}
return struct.pack('q',1)
return struct.pack('I4')
return {struct.unpack('I4','ab')}
return tostring(struct.unpack('>d', struct.pack('>d', 0.1)))
return cmsgpack.pack({1,2,3})
return cmsgpack.pack({a=1,b={true,false}})
return cmsgpack.pack(1,-1,127,128,255,256,65535,65536,4294967296,-32,-33,-128,-129,-32768,-32769,-2147483649,1.5,0.1,'x')
return cmsgpack.pack({})
return cmsgpack.pack({[1]=1,[3]=3})
return cmsgpack.pack(string.rep('a',40), string.rep('b',300))
return cmsgpack.pack(nil)
return cmsgpack.pack()
local t={} for i=1,20 do t={t} end return cmsgpack.pack(t)
return {cmsgpack.unpack(cmsgpack.pack({1,{2,'x'}},-5,3.0,'z'))}
return cmsgpack.unpack('\217')
return cmsgpack.unpack('\193')
return cmsgpack.unpack(cmsgpack.pack({a={b=1}})).a.b
return tostring(math.random())
return {math.random(100), math.random(100), math.random(5,10)}
math.randomseed(7) return {math.random(1000),math.random(1000)}
redis.call('set','n',0/0) return redis.call('get','n')
redis.call('set','n',-(0/0)) return redis.call('get','n')
redis.call('set','n',1/0) return redis.call('get','n')
redis.call('set','n',-1/0) return redis.call('get','n')
redis.call('set','n',1e15) return redis.call('get','n')
redis.call('set','n',1e17) return redis.call('get','n')
redis.call('set','n',2^60) return redis.call('get','n')
redis.call('set','n',2^63) return redis.call('get','n')
redis.call('set','n',1e20) return redis.call('get','n')
redis.call('set','n',1e22) return redis.call('get','n')
redis.call('set','n',-0.0) return redis.call('get','n')
redis.call('set','n',0.1) return redis.call('get','n')
redis.call('set','n',1/3) return redis.call('get','n')
redis.call('set','n',1e-7) return redis.call('get','n')
redis.call('set','n',1.5e300) return redis.call('get','n')
redis.call('set','n',123456.789) return redis.call('get','n')
return 0/0
return 1e300
return -1.9
return function() end
x = 1 return 1
return nosuch
return redis.call()
return redis.pcall()
return redis.call('nonsense')
return type(select(2,pcall(redis.call,'nonsense')))
return redis.pcall('nonsense')
return redis.call('select',3)
return redis.sha1hex('')
return redis.sha1hex()
return redis.status_reply('x y')
return redis.error_reply('x y')
return redis.error_reply('-x y')
return {err='hm'}
return {ok='hm'}
error('boom')
error({err='boom'})
error()
return loadstring('return 5')()
return loadstring('\27Lua')
return redis.setresp(2)
return os.time()
return string.format('%5.1f|%q', 3.14159, 'a\nb')
return table.concat({1,2,3}, ',')
return unpack({1,2})
local a = {} for k,v in pairs({x=1,y=2,z=3,abc=4,['1']=5}) do a[#a+1]=k end return a
return {KEYS[1], ARGV[1]}
return tostring(cjson.null)
return type(cjson.null)
return cjson.new
return _G.nosuch
return setmetatable(_G, {})
return print('x')
return redis.log(redis.LOG_WARNING,'x')
return redis.call('zadd','z',1.5,'m',2,'k')
return redis.call('zrange','z',0,-1,'WITHSCORES')
return redis.call('zscore','z','m')
return redis.call('hset','h','f','v')
return redis.call('hgetall','h')
return redis.call('type','h')
return redis.call('ping')
return redis.call('echo','x')
